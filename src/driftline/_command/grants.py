"""What each token allows, as it is written on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from driftline import Bus

if TYPE_CHECKING:
    from driftline.hub import Grant


def parse_grants(
    tokens: Iterable[str], read: Iterable[str], publish: Iterable[str], *, read_only: bool
) -> dict[str | None, Grant]:
    """Return what each token allows, and with None what everybody may do who has none.

    Args:
        tokens: those that allow everything.
        read: such as "TOKEN=PATTERN", for reading.
        publish: likewise, for publishing.
        read_only: whether everybody may read.

    Raises:
        ValueError: something is no token with a pattern.
    """
    reads: dict[str | None, list[str]] = {None: [">"]} if read_only else {}
    publishes: dict[str | None, list[str]] = {}
    for token in tokens:
        reads[token] = publishes[token] = [">"]
    for allowed, texts in (reads, read), (publishes, publish):
        for token, pattern in map(parse_pair, texts):
            Bus().subscribe(pattern).close()  # which refuses what is no pattern
            allowed[token] = [*allowed.get(token, ()), pattern]
    return {
        token: {"read": reads.get(token, ()), "publish": publishes.get(token, ())}
        for token in {**reads, **publishes}
    }


def parse_pair(text: str) -> tuple[str, str]:
    """Return what is before and behind the last equals sign.

    Raises:
        ValueError: there are no such two things.
    """
    before, equals, behind = text.rpartition("=")
    if not (before and equals and behind):
        raise ValueError(f"{text!r} is no pair such as FILE=TOPIC or TOKEN=PATTERN")
    return before, behind
