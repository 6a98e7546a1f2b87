"""Standard input, read in a thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Final

from driftline._command.lines import Lines
from driftline._command.words import Complaint, say

_PIECE: Final = 64 * 1024


def standard_input() -> Iterator[str]:
    """Iterate over the lines of standard input, blocking the thread.

    Raises:
        Complaint: standard input is closed.
    """
    if sys.stdin is None:
        raise Complaint("standard input is closed")
    lines = Lines()
    number = sys.stdin.fileno()
    # Not through `sys.stdin`, whose lock a thread would hold when Python ends.
    while data := os.read(number, _PIECE):
        yield from lines.feed(data)
    yield from lines.end()


def in_thread(work: Callable[[], None], name: str) -> None:
    """Run something in a thread that may still be waiting when the program ends."""

    def run() -> None:
        try:
            work()
        except (Complaint, OSError) as error:
            say(f"{name} cannot be read: {error}")

    Thread(target=run, name=name, daemon=True).start()
