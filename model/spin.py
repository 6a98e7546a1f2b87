"""Running the checker Spin once, and reading what it says."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final, NamedTuple

from model.runs import Run

MODEL: Final = Path(__file__).with_name("driftline.pml")

_DEEPEST: Final = 100_000  # steps in a row; the model needs some hundreds


class Outcome(NamedTuple):
    """What came of one run."""

    states: int
    depth: int
    fault: str  # "" is none
    finished: bool  # whether all was looked at that was to be
    seconds: float = 0.0

    def is_good(self, run: Run) -> bool:
        """Return whether the model holds, or its mutation was found.

        A search that is not meant to be complete may be stopped; one that is may not.
        """
        if run.mutation:
            return self.fault != ""
        return self.fault == "" and (self.finished or not run.complete)


def is_installed() -> bool:
    return shutil.which("spin") is not None and shutil.which("cc") is not None


def check(run: Run, seconds: float) -> Outcome:
    """Search the states of the model, for so many seconds at most."""
    with TemporaryDirectory() as folder:
        _do(["spin", *run.definitions, "-a", str(MODEL)], folder)
        _do(["cc", "-O2", "-w", *_compiled(run), "-o", "pan", "pan.c"], folder)
        start = monotonic()
        said = _search(["./pan", f"-m{_DEEPEST}", *_bits(run)], folder, seconds)
        return read(said)._replace(seconds=monotonic() - start)


def read(said: str) -> Outcome:
    """Return what the checker said at the end of its search."""
    depth, errors = _number(r"depth reached (\d+)", said), _number(r"errors: (\d+)", said)
    fault = re.search(r"^pan:1: (.+?)(?: \(at depth \d+\))?$", said, re.MULTILINE)
    incomplete = re.search(r"Interrupted|max search depth too small|out of memory", said)
    return Outcome(
        states=_number(r"(\d+) states, stored", said) or 0,
        depth=depth or 0,
        fault=fault[1] if fault else "unknown" if errors else "",
        finished=errors is not None and incomplete is None,
    )


def _compiled(run: Run) -> list[str]:
    """Return how the search is built: the last process first, which finds some faults sooner."""
    memory = ["-DCOLLAPSE", "-DMEMLIM=3500"] if run.complete else ["-DBITSTATE"]
    return ["-DSAFETY", "-DP_REVERSE", *memory]


def _bits(run: Run) -> list[str]:
    return [] if run.complete else ["-w30"]  # 2 ** 30 bits, for some 100 million states


def _do(command: list[str], folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _search(command: list[str], folder: str, seconds: float) -> str:
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as search:
        try:
            return search.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            search.send_signal(signal.SIGINT)  # it says how far it came, and ends
            return search.communicate()[0]


def _number(pattern: str, said: str) -> int | None:
    found = re.search(pattern, said)
    return None if found is None else int(found[1])
