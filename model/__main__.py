"""Check the model and each of its mutations: `python -m model`.

Prints one line for each, as they come. Ends with 0 if the model holds and every mutation of it is
found, with 1 if not, and with 2 if Spin or a C compiler is not installed.
"""

from __future__ import annotations

import sys

from model.runs import MUTATIONS, SIZES, Run
from model.spin import Outcome, check, is_installed

_SECONDS = {True: 240.0, False: 40.0}  # for a complete search, and for one by bits


def main() -> int:
    if not is_installed():
        print("Spin and a C compiler are needed: see CONTRIBUTING.md")
        return 2
    print(f"{'configuration':68} {'states':>11} {'depth':>6} {'seconds':>8}  result")
    bad = [run for run in MUTATIONS + SIZES if not _is_good(run)]
    for run in bad:
        print(f"not as it should be: {run}")
    return 1 if bad else 0


def _is_good(run: Run) -> bool:
    print(f"{run!s:68}", end="", flush=True)
    outcome = check(run, _SECONDS[run.complete])
    print(
        f" {outcome.states:11,} {outcome.depth:6,} {outcome.seconds:8.1f}  {_result(run, outcome)}"
    )
    return outcome.is_good(run)


def _result(run: Run, outcome: Outcome) -> str:
    if outcome.fault:
        return f"{'found' if run.mutation else 'BROKEN'}: {outcome.fault}"
    if run.mutation:
        return "NOT FOUND"
    if outcome.finished:
        return "holds" if run.complete else "holds, as far as bits can tell"
    return "NOT FINISHED" if run.complete else "holds, as far as it came"


if __name__ == "__main__":
    sys.exit(main())
