"""Places that are kept for readers who may return.

A client whose connection breaks leaves its place behind, and comes back with the text of its
position. Until then its place keeps what it has not read, like any subscription, within the limits
of the topic; and when its time is over it is let go.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from driftline._core.hold import Hold
from driftline._core.link import Gap, Link
from driftline._core.parking import let_go


class Place:
    """A subscription that nobody reads: a link, and the number of messages before it."""

    __slots__ = ("_link", "_seq", "until")

    def __init__(self, link: Link[Any], seq: int, seconds: float) -> None:
        self._link = link
        self._seq = seq
        self.until = monotonic() + seconds

    def __del__(self) -> None:
        if hasattr(self, "_link"):  # otherwise an interruption came before it was made
            hold = Hold(self._link)
            del self._link
            let_go(hold)


class Places(dict[Place, None]):
    """Those of one topic, in the order in which they were left. From any thread."""

    __slots__ = ()

    def expire(self) -> None:
        """Let go of those whose time is over."""
        now = monotonic()
        for place in self.copy():
            if place.until <= now:
                self.pop(place, None)

    def before(self, seq: int, past: str | None) -> Place | None:
        """Return the nearest one from which everything behind that number can be had.

        Of one past, or of none.
        """
        self.expire()
        found = None
        for place in self.copy():
            if getattr(place._link, "epoch", None) != past:
                continue
            nearer = found is None or place._seq > found._seq
            if place._seq <= seq and nearer and not isinstance(place._link.next, Gap):
                found = place
        return found
