"""Run the soak: `python -m soak [--minutes 10] [--seed N] [--plot FILE]`, with `tests` on the path.

The exit code is 0 if all is well, and 1 if the law is broken, something hangs, memory grows or a
loop computes for too long.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from rich.console import Console

from soak.floor import Idle, beside_counting
from soak.load import LOOPS
from soak.loads import LOADS
from soak.plot import plot
from soak.progress import progress
from soak.report import complaints, tables
from soak.run import Run

from .loads.flood import FLOODED

COMPETITORS = len(FLOODED) + len(LOOPS) - 1
"""Threads that compute beside a loop under flood, those of short bursts not counted."""

RATE = 10_000
"""More than this, and whoever links the messages of all may not keep up with them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description="Keep one bus under every load.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--plot", type=Path, default=Path("build", "soak.svg"))
    parser.add_argument(
        "--rate",
        type=int,
        default=RATE,
        help=f"messages a second from each thread that floods (default {RATE}; 0: all it can)",
    )
    options = parser.parse_args(arguments)
    seconds = options.minutes * 60
    console = Console(stderr=True, highlight=False)
    console.print(f"seed {options.seed}")

    counting = beside_counting(COMPETITORS, min(5.0, seconds / 10))
    run = Run(options.seed, LOADS, options.rate)
    with Idle() as idle, progress(console, run, seconds) as tick:
        run.watch(seconds, tick)

    sys.stdout.write(tables(run, idle.gaps, counting, COMPETITORS))
    draw(run, options.plot)
    found = list(complaints(run))
    for complaint in found:
        sys.stderr.write(f"seed {options.seed}: {complaint}\n")
    if any(thread.is_alive() for thread in run.threads):
        faulthandler.dump_traceback()
        sys.stdout.flush()
        os._exit(1)  # what hangs would not let go of the process
    return 1 if found else 0


def draw(run: Run, path: Path) -> None:
    """Write the plot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ([sample[field] for sample in run.samples] for field in range(4))
    path.write_text(plot(*columns), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
