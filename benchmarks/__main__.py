"""Measure driftline beside what people use today.

Tables go to standard output, progress to standard error. Each name is the file in benchmarks/ that
says what is measured, and how.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from . import (
    bus_cost,
    bus_memory,
    compiled,
    deliveries,
    disruptor,
    drain,
    hub,
    latency,
    letting_go,
    limit_cost,
    memory,
    peers,
    publish_cost,
    stalled,
    thread_latency,
    tokio,
    where_time_goes,
    ws,
    ws_patterns,
    zio,
)
from .document import document
from .measure import ROOT, Table, commit, surroundings
from .progress import Estimate, progress

BENCHMARKS: dict[str, ModuleType] = {
    "deliveries": deliveries,
    "publish_cost": publish_cost,
    "memory": memory,
    "latency": latency,
    "thread_latency": thread_latency,
    "profile": where_time_goes,
    "peers": peers,
    "tokio": tokio,
    "zio": zio,
    "disruptor": disruptor,
    "limit_cost": limit_cost,
    "stalled": stalled,
    "drain": drain,
    "letting_go": letting_go,
    "bus_cost": bus_cost,
    "bus_memory": bus_memory,
    "ws": ws,
    "ws_patterns": ws_patterns,
    "hub": hub,
    "compiled": compiled,
}
"""Each answers one question, with `tables`; some also draw them, with `plot`."""

SECONDS = {
    "deliveries": 120,
    "publish_cost": 90,
    "memory": 50,
    "latency": 75,
    "thread_latency": 27,
    "profile": 65,
    "peers": 220,
    "tokio": 18,
    "zio": 70,
    "disruptor": 50,
    "limit_cost": 42,
    "stalled": 67,
    "drain": 85,
    "letting_go": 48,
    "bus_cost": 75,
    "bus_memory": 55,
    "ws": 230,
    "ws_patterns": 165,
    "hub": 70,
    "compiled": 120,
}
"""About what each takes in full, to tell how long a run will take."""
NAMED = {"compiled"}
"""What runs only when it is named, because it needs a C compiler."""

PLOTS = "images/measured"
"""Where the plots of a page are."""


def run_here(names: Sequence[str], quick: bool) -> dict[str, Any]:
    """Run the benchmarks in this interpreter, print their tables and return all as JSON has it."""
    estimate = Estimate({name: 0 if quick else SECONDS[name] for name in names})
    done: dict[str, Any] = {}
    if quick:
        print("*A quick run, too small to be quoted.*\n")
    with progress(estimate) as track:
        for name in names:
            tables = BENCHMARKS[name].tables(track, quick)
            for table in tables:
                print(table.markdown(), flush=True)
            seconds = round(estimate.finish(name), 1)
            done[name] = {
                "commit": commit(),
                "seconds": seconds,
                "tables": [asdict(table) for table in tables],
            }
    return {"machine": surroundings(), "quick": quick, "benchmarks": done}


def run_in(python: str, names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """Run the benchmarks in another interpreter, which prints its own tables."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--quick"] if quick else []
        command = [python, "-m", "benchmarks", *names, *options, "--json", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        runs: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
        return runs


def other_pythons() -> list[str]:
    """Return the interpreters of the project's other environments."""
    found = [*ROOT.glob(".venv/bin/python"), *sorted(ROOT.glob(".venvs/*/bin/python"))]
    return [str(python) for python in found if python.parent.parent != Path(sys.prefix)]


def merged(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first run, with the benchmarks of later ones in place of its own."""
    benchmarks = {name: done for run in runs for name, done in run["benchmarks"].items()}
    return {**runs[0], "benchmarks": benchmarks}


def draw(run: Mapping[str, Any], folder: Path) -> None:
    """Draw what was measured, each benchmark in a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, done in run["benchmarks"].items():
        plot = getattr(BENCHMARKS[name], "plot", None)
        if plot is not None:
            drawing = plot([Table(**table) for table in done["tables"]])
            (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")


def kept(file: str) -> dict[str, Any]:
    """Return the first run that is kept in a file."""
    try:
        runs = json.loads(Path(file).read_text(encoding="utf-8"))
        if not (runs and runs[0].keys() >= {"machine", "benchmarks"}):
            raise ValueError("no run is in it")
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{file}: {error}; --json FILE keeps a run") from None
    run: dict[str, Any] = runs[0]
    return run


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a small version, too small to be quoted"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep tables and every sample there"
    )
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw those that have a plot as SVG there"
    )
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FOLDER",
        help="write a page of all tables and plots there, measured.md",
    )
    parser.add_argument(
        "--kept",
        nargs="+",
        type=kept,
        metavar="FILE",
        help="measure nothing, but draw or document what --json has kept there; of a benchmark "
        "that is in several files, what is in the last of them",
    )
    parser.add_argument(
        "--pythons",
        nargs="*",
        metavar="PYTHON",
        help="then run under each of these interpreters (default: .venvs/*/bin/python)",
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark is called {name!r}; there are {', '.join(BENCHMARKS)}")
    if options.kept and not (options.plots or options.document):
        parser.error("--kept needs --plots FOLDER, --document FOLDER or both: what to make of it")
    return options


def main() -> int:
    """Read the command line and run what it asks for."""
    options = parsed()
    names = options.names or [name for name in BENCHMARKS if name not in NAMED]
    if options.kept:
        runs = [merged(options.kept)]
    else:
        runs = [json.loads(json.dumps(run_here(names, options.quick)))]
        pythons = [] if options.pythons is None else options.pythons or other_pythons()
        for python in pythons:
            runs += run_in(python, names, options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(runs, indent=1), encoding="utf-8")
    if options.plots:
        draw(runs[0], options.plots)
    if options.document:
        draw(runs[0], options.document / PLOTS)
        page = document(runs[0], BENCHMARKS, PLOTS)
        (options.document / "measured.md").write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
