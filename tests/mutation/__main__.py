"""Change the code, and see tests fail: `python -m mutation [--sample N] [--seed S]`.

With `tests` on the path, on Python 3.12 or later. It prints the score, and the changes that survive
all tests that run them. The exit code is 1 if the score is below that of `--least`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from math import inf
from random import Random
from time import monotonic

from mutation.change import Change, changes
from mutation.equivalent import read_equivalents
from mutation.trials import cover, explored, trial
from planted.trial import PACKAGE, ROOT, Outcome, copied

OF_TESTS = "_core/invariants.py"  # only tests call it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = ArgumentParser(prog="mutation", description="Change the code, and see tests fail.")
    parser.add_argument("--sample", type=int, help="how many changes; without it, all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=90.0, help="percent (default 90)")
    parser.add_argument("--minutes", type=float, default=inf, help="try no more after so many")
    parser.add_argument("--explore", action="store_true", help="try survivors on all other tests")
    parser.add_argument("--under", default="", help="only files whose path begins so: _core")
    options = parser.parse_args(arguments)
    found = [change for change in all_changes() if change.file.startswith(options.under)]
    chosen = Random(options.seed).sample(found, min(options.sample or len(found), len(found)))
    survivors: list[tuple[Change, Outcome]] = []
    hangs = 0
    with copied() as copy:
        covering = cover(copy)
        end = monotonic() + 60 * options.minutes
        for number, change in enumerate(chosen, 1):
            if monotonic() > end:
                del chosen[number - 1 :]
                break
            outcome = trial(copy, change, covering)
            if options.explore and not outcome.caught_by:
                outcome = explored(copy, change)
            if outcome.how == "hangs":
                hangs += 1
                sys.stderr.write(f"{number}/{len(chosen)} hangs: {change}\n")
            if not outcome.caught_by:
                survivors.append((change, outcome))
                sys.stderr.write(f"{number}/{len(chosen)} survives: {change}\n")
            elif not number % 10:
                sys.stderr.write(f"{number}/{len(chosen)}\n")
    score = 100 * (1 - len(survivors) / len(chosen))
    for change, outcome in sorted(survivors, key=lambda pair: (pair[0].file, pair[0].line)):
        sys.stdout.write(f"{change}  ({outcome.how})\n")
    sys.stdout.write(
        f"{len(chosen) - len(survivors)} of {len(chosen)} changes were noticed, {score:.1f} %, "
        f"{hangs} of them because the tests did not end, out of {len(found)}; seed {options.seed}\n"
    )
    return 0 if score >= options.least else 1


def all_changes() -> list[Change]:
    """Return those of the core and of the bus, without the ones that no test can notice."""
    package, equivalents = ROOT / PACKAGE, read_equivalents()
    paths = sorted([*package.glob("_core/**/*.py"), *package.glob("_bus/**/*.py")])
    files = [path.relative_to(package).as_posix() for path in paths]
    return [
        change
        for file in files
        if file != OF_TESTS
        for change in changes(package, file)
        if not any(equivalent.covers(change) for equivalent in equivalents)
    ]


if __name__ == "__main__":
    sys.exit(main())
