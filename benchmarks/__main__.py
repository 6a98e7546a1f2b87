"""Measure driftline beside what people use today.

Tables go to standard output, progress to standard error. Each name is the file in benchmarks/ that
says what is measured, and how.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from . import (
    bus_cost,
    bus_memory,
    deliveries,
    drain,
    hub,
    letting_go,
    limit_cost,
    memory,
    publish_cost,
    stalled,
    thread_latency,
    ws,
)
from .measure import ROOT, Table, Track, surroundings
from .progress import Estimate, progress


class Benchmark(NamedTuple):
    """What answers one question."""

    tables: Callable[[Track, bool], list[Table]]
    """Measures, showing its steps, either in full or quickly."""
    seconds: float
    """About what it takes in full, where this was written."""
    plot: Callable[[Sequence[Table]], str] | None = None
    """Draws its tables."""


BENCHMARKS = {
    "deliveries": Benchmark(deliveries.tables, 145, deliveries.plot),
    "publish_cost": Benchmark(publish_cost.tables, 90, publish_cost.plot),
    "bus_cost": Benchmark(bus_cost.tables, 75),
    "bus_memory": Benchmark(bus_memory.tables, 75),
    "memory": Benchmark(memory.tables, 80, memory.plot),
    "thread_latency": Benchmark(thread_latency.tables, 22),
    "drain": Benchmark(drain.tables, 60),
    "limit_cost": Benchmark(limit_cost.tables, 65),
    "stalled": Benchmark(stalled.tables, 80),
    "letting_go": Benchmark(letting_go.tables, 60),
    "ws": Benchmark(ws.tables, 300, ws.plot),
    "hub": Benchmark(hub.tables, 120),
}


def run_here(names: Sequence[str], quick: bool) -> dict[str, Any]:
    """Run the benchmarks in this interpreter, print their tables and return all as JSON has it."""
    estimate = Estimate({name: 0.0 if quick else BENCHMARKS[name].seconds for name in names})
    done: dict[str, Any] = {}
    with progress(estimate) as track:
        for name in names:
            tables = BENCHMARKS[name].tables(track, quick)
            for table in tables:
                print(table.markdown(), flush=True)
            seconds = round(estimate.finish(name), 1)
            done[name] = {"seconds": seconds, "tables": [asdict(table) for table in tables]}
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


def draw(run: Mapping[str, Any], folder: Path) -> None:
    """Draw what was measured, each benchmark in a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, done in run["benchmarks"].items():
        plot = BENCHMARKS[name].plot
        if plot is not None:
            drawing = plot([Table(**table) for table in done["tables"]])
            (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")


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
        "--drawn-from",
        type=Path,
        metavar="FILE",
        help="measure nothing, and draw what --json has kept there",
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
    if options.drawn_from and not options.plots:
        parser.error("--drawn-from needs --plots FOLDER, where the plots are to be")
    return options


def main() -> int:
    """Read the command line and run what it asks for."""
    options = parsed()
    if options.drawn_from:
        draw(json.loads(options.drawn_from.read_text(encoding="utf-8"))[0], options.plots)
        return 0
    names = options.names or list(BENCHMARKS)
    pythons = [] if options.pythons is None else options.pythons or other_pythons()

    runs = [json.loads(json.dumps(run_here(names, options.quick)))]
    if options.plots:
        draw(runs[0], options.plots)
    for python in pythons:
        runs += run_in(python, names, options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(runs, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
