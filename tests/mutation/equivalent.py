"""Changes that no test can notice."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.change import Change

EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True)
class Equivalent:
    """One row of `equivalents.toml`."""

    file: str
    line: str
    """The line, without the space around it."""
    old: str
    new: str
    reason: str

    def covers(self, change: Change) -> bool:
        """Return whether this is that change."""
        found = (change.file, change.context, change.old, change.new)
        return found == (self.file, self.line, self.old, self.new)


def read_equivalents() -> list[Equivalent]:
    """Return all that are listed."""
    rows = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("equivalent", [])
    return [Equivalent(**row) for row in rows]
