"""A planted fault: what is replaced by what, and which tests are to find it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from planted.trial import PACKAGE, Outcome, changed, run

FAULTS = Path(__file__).with_name("faults.toml")

_PATIENCE = 20.0  # seconds that one test may take


@dataclass(frozen=True)
class Fault:
    """One row of `faults.toml`."""

    label: str
    """The invariant that it breaks, or the row of the catalogue of faults that it brings about."""
    breaks: str
    """What goes wrong."""
    file: str
    """Where, in the package."""
    old: str
    new: str
    tests: tuple[str, ...]
    """Those that find it, of the folder of tests: `core/test_x.py::test_y`."""

    def planted(self, text: str) -> str:
        """Return the text of the file with the fault in it.

        Raises:
            ValueError: what is to be replaced does not stand there exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.label}: {self.file} has {text.count(self.old)} of {self.old!r}"
            )
        return text.replace(self.old, self.new)

    def trial(self, copy: Path) -> Outcome:
        """Plant it in a copy of the project, and run its tests."""
        path = copy / PACKAGE / self.file
        with changed(path, self.planted(path.read_text(encoding="utf-8"))):
            return run(copy, self.tests, _PATIENCE)


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """Return all that are listed."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [Fault(**{**row, "tests": tuple(row["tests"])}) for row in rows]
