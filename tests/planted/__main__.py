"""Plant each fault in turn: `python -m planted [WORD ...]`, with `tests` on the path.

With words, only the faults whose label or file has one of them. The exit code is 1 if a fault was
not found by the tests that are to find it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from planted.fault import FAULTS, Fault, read_faults
from planted.trial import Outcome, copied

Row = tuple[int, Fault, Outcome]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = ArgumentParser(prog="planted", description="Plant faults, and see them found.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="of a label or a file")
    parser.add_argument("--faults", type=Path, default=FAULTS, help="another list of them")
    options = parser.parse_args(arguments)
    words = options.words
    numbered = [
        (number, fault)
        for number, fault in enumerate(read_faults(options.faults), 1)
        if not words or any(word in f"{fault.label} {fault.file}" for word in words)
    ]
    rows: list[Row] = []
    with copied() as copy:
        for number, fault in numbered:
            outcome = fault.trial(copy)
            rows.append((number, fault, outcome))
            progress = f"{len(rows)}/{len(numbered)}: {fault.label}, {fault.breaks}"
            sys.stderr.write(f"{progress}: {outcome.how}, {outcome.seconds:.1f} s\n")
    Console(width=160).print(table(rows))
    return 0 if all(outcome.caught_by for _, _, outcome in rows) else 1


def table(rows: Sequence[Row]) -> Table:
    """Return what became of each fault."""
    caught = sum(outcome.caught_by is not None for _, _, outcome in rows)
    columns = ("", "label", "fault", "caught by", "which", "seconds")
    found = Table(*columns, title=f"{caught} of {len(rows)} planted faults were caught")
    for number, fault, outcome in rows:
        by = outcome.caught_by or "NOBODY"
        row = (fault.label, fault.breaks, by.rpartition("::")[2], outcome.how)
        found.add_row(str(number), *row, f"{outcome.seconds:.1f}")
    return found


if __name__ == "__main__":
    sys.exit(main())
