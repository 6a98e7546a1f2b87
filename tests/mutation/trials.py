"""Which tests run a line, and trying a change on them."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from compileall import compile_dir
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mutation.change import Change
from mutation.covering import OUTPUT
from planted.trial import PACKAGE, ROOT, Outcome, changed, in_child, run

_CACHE = ROOT / "build" / "covering"
# These need the instructions of the interpreter for themselves, and take long.
_EXPLORING = ("core/test_interleavings.py", "core/test_pairs.py", "bus/test_threads.py")
_LEFT_OUT = ("core/test_model.py", "core/test_stress.py")
_INTERRUPTING = (
    "core/test_publish_anywhere.py::test_k4_control_c_in_the_middle_of_a_publish_costs_nobody_else_a_message",
    "core/test_publish_anywhere.py::test_p1_p3_k4_a_storm_of_control_c_leaves_nothing_in_the_inbox_and_nobody_in_the_turn",
)  # would interrupt what watches them, too
_ROUNDS = ((25, 1.0), (150, 8.0), (200, 40.0))
"""How many tests, and seconds of tests, a change has to survive before it is tried on the next."""
_IN_A_CHILD = (
    "core/test_publish_anywhere.py::test_p4_b9_a_child_forked_while_another_thread_publishes_publishes_and_reads",
    "core/test_publish_anywhere.py::test_b9_a_child_wakes_its_own_threads_although_threads_of_its_parent_waited",
    "core/test_limits_under_attack.py::test_b9_a_forked_child_does_not_wait_behind_senders_of_its_parent",
)  # run what is run in forked children only


class Covering(NamedTuple):
    """Which tests run each `file:line`, and the seconds that each test takes."""

    lines: dict[str, list[str]]
    seconds: dict[str, float]

    def tests(self, change: Change) -> list[str]:
        """Return the tests that run a change: one of each function first, and fast ones."""
        # Within a statement, only some lines begin with something to do.
        before = (f"{change.file}:{n}" for n in range(change.line, change.first, -1))
        found = next((self.lines[line] for line in before if self.lines.get(line)), _IN_A_CHILD)
        variants: Counter[str] = Counter()
        ranked: list[tuple[int, float, str]] = []
        for test in sorted(found, key=lambda test: (self._is_another_loop(test), self.time(test))):
            function = test.partition("[")[0]
            ranked.append((variants[function], self.time(test), test))
            variants[function] += 1
        return [test for _, _, test in sorted(ranked)]

    def time(self, test: str) -> float:
        """Return how many seconds a test takes."""
        return self.seconds.get(test, 1.0)

    def _is_another_loop(self, test: str) -> bool:
        function, _, parameters = test.partition("[")
        return not parameters.startswith("asyncio") and f"{function}[asyncio]" in self.seconds


def cover(copy: Path) -> Covering:
    """Run all tests once, unless neither code nor tests have changed since the last time."""
    compile_dir(copy / "tests", quiet=1)
    texts = sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "tests").rglob("test_*.py")])
    digest = sha256(b"".join(path.read_bytes() for path in texts)).hexdigest()
    cache = _CACHE / f"{digest}.json"
    if not cache.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        os.environ[OUTPUT] = str(cache)
        left_out = (f"--ignore=tests/{test}" for test in _LEFT_OUT)
        folders = ("tests/core", "tests/bus")
        arguments = ("-q", "-p", "mutation.covering", "-m", "not untraced", *left_out, *folders)
        if in_child(copy, arguments, None, sys.stdout, sys.stderr) != 0:
            raise RuntimeError("the tests fail without any change")
    return Covering(**json.loads(cache.read_text(encoding="utf-8")))


def trial(copy: Path, change: Change, covering: Covering) -> Outcome:
    """Return the outcome of a change: of the first tests that notice it, or of the last."""
    path = copy / PACKAGE / change.file
    outcome = Outcome(None, "is never run", 0.0)
    tests = covering.tests(change)
    with changed(path, change.made(path.read_text(encoding="utf-8"))):
        for most, seconds in _ROUNDS:
            chosen = _affordable(tests[:most], covering, seconds)
            if chosen and not outcome.caught_by:
                slowest = max(covering.time(test) for test in chosen)
                outcome = run(copy, chosen, 5 + 4 * slowest)
                tests = tests[len(chosen) :]
    return outcome


def explored(copy: Path, change: Change) -> Outcome:
    """Return the outcome of a change of the tests that cannot be watched, which take minutes."""
    path = copy / PACKAGE / change.file
    with changed(path, change.made(path.read_text(encoding="utf-8"))):
        return run(copy, (*_INTERRUPTING, *_EXPLORING), 100)


def _affordable(tests: list[str], covering: Covering, seconds: float) -> list[str]:
    """Return the first tests that take so long together."""
    chosen: list[str] = []
    for test in tests:
        seconds -= covering.time(test)
        if chosen and seconds < 0:
            break
        chosen.append(test)
    return chosen
