"""What is said on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


class Complaint(Exception):
    """Something that the user can mend, in one line that says how; the command ends with 1."""


def say(text: str) -> None:
    """Write a line to standard error; if nobody takes it, that is no reason to stop."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"driftline: {printable(text)}\n")
        sys.stderr.flush()


def printable(text: str) -> str:
    """Return a text of somebody else without what would move the cursor or change colours."""
    return "".join(letter if letter.isprintable() else _UNPRINTABLE for letter in text)


def counted(number: int, thing: str) -> str:
    """Return such as "1 message" or "1,200 messages"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
