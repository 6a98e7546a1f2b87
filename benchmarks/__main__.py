"""Run the benchmarks: `python -m benchmarks [NAME ...] [--quick] [--json FILE] [...]`."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

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
from .measure import ROOT, Table, Track, machine

T = TypeVar("T")

BENCHMARKS = {
    "deliveries": deliveries,
    "publish_cost": publish_cost,
    "bus_cost": bus_cost,
    "bus_memory": bus_memory,
    "memory": memory,
    "thread_latency": thread_latency,
    "drain": drain,
    "limit_cost": limit_cost,
    "stalled": stalled,
    "letting_go": letting_go,
    "ws": ws,
    "hub": hub,
}

PLOTS: dict[str, Callable[[Sequence[Table]], str]] = {"ws": ws.plot}


def plain_track(steps: Sequence[T], description: str) -> Iterable[T]:
    """Go through `steps` and count them on standard error, one line each."""
    for number, step in enumerate(steps, 1):
        print(f"{description}: {number}/{len(steps)}", file=sys.stderr, flush=True)
        yield step


def progress() -> Track:
    """Return a progress bar where rich is installed, and lines of text where it is not."""
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        return plain_track
    console = Console(stderr=True)
    if not console.is_terminal:
        return plain_track

    def bar(steps: Sequence[T], description: str) -> Iterable[T]:
        return track(steps, description, console=console)

    return bar


def other_pythons() -> list[str]:
    """Return the interpreters of the project's other environments."""
    found = [*ROOT.glob(".venv/bin/python"), *sorted(ROOT.glob(".venvs/*/bin/python"))]
    return [str(python) for python in found if python.parent.parent != Path(sys.prefix)]


def run_here(names: Sequence[str], quick: bool, plots: Path | None) -> dict[str, Any]:
    """Run the benchmarks in this interpreter, print their tables, draw them and return them."""
    track = progress()
    done: dict[str, list[Table]] = {}
    for name in names:
        benchmark = BENCHMARKS[name]
        done[name] = benchmark.tables(track, quick)
        for table in done[name]:
            print(table.markdown(), flush=True)
        if plots and name in PLOTS:
            plots.mkdir(parents=True, exist_ok=True)
            Path(plots, f"{name}.svg").write_text(PLOTS[name](done[name]), encoding="utf-8")
    return {
        "machine": machine(),
        "quick": quick,
        "benchmarks": {name: [asdict(table) for table in tables] for name, tables in done.items()},
    }


def run_in(python: str, names: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """Run the benchmarks in another interpreter, which prints its own tables."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--quick"] if quick else []
        command = [python, "-m", "benchmarks", *names, *options, "--json", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        runs: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
        return runs


def main() -> int:
    """Read the command line and run what it asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="a small version, some two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write tables and samples there")
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help=f"draw {', '.join(PLOTS)} as SVG there"
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
    names = options.names or list(BENCHMARKS)
    pythons = [] if options.pythons is None else options.pythons or other_pythons()

    runs = [run_here(names, options.quick, options.plots)]
    for python in pythons:
        runs += run_in(python, names, options.quick)
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
