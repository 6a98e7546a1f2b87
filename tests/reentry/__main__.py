"""Run it: `python -m reentry [--messages 1000000] [--only WAY ...]`, with `tests` on the path.

The exit code is 0 if each message came once, and 1 if not, or if nothing happens for two minutes.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Sequence
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, TaskID

from proof.law import LawBroken
from reentry.ways import WAYS

PATIENCE = 120.0  # seconds without progress, after which it hangs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="reentry", description="Publish within publishing.")
    parser.add_argument("--messages", type=int, default=1_000_000, help="of each way")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS), help="these ways")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds")
    options = parser.parse_args(arguments)
    sys.stdout.write("| from | messages | seconds |\n|---|---:|---:|\n")
    with Progress(console=Console(stderr=True)) as progress:
        for name in options.only:
            task = progress.add_task(name, total=options.messages)

            def tick(messages: int, task: TaskID = task) -> None:
                faulthandler.dump_traceback_later(options.patience, exit=True)
                progress.update(task, completed=messages)

            begun = perf_counter()
            tick(0)
            try:
                WAYS[name](options.messages, tick)
            except (LawBroken, AssertionError) as broken:
                sys.stderr.write(f"{name}: {type(broken).__name__}: {broken}\n")
                return 1
            tick(options.messages)
            sys.stdout.write(f"| {name} | {options.messages:,} | {perf_counter() - begun:.1f} |\n")
    faulthandler.cancel_dump_traceback_later()
    return 0


if __name__ == "__main__":
    sys.exit(main())
