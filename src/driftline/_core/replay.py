"""Replay: the last messages of a topic, kept for those who come later.

It is nothing but one more place in the chain, so many messages or seconds back, which every message
moves on. Who subscribes with a replay starts there, or nearer, and reads the same links as all
others: no copy, no gap, no message twice. What the limits of the topic cut off is not kept either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from driftline._core.checks import checked_count, checked_limit
from driftline._core.hold import Hold
from driftline._core.link import Link, Milestone
from driftline._core.parking import let_go

if TYPE_CHECKING:
    from driftline._core.topic import Topic

_WALK: Final = 1_000  # messages; further than that, the place is looked for


class Replay:
    """What one topic keeps. Only who has the topic's turn moves it."""

    __slots__ = ("asked", "messages", "place", "seconds")

    def __init__(self, link: Link[Any], asked: int, limit: float, seconds: float) -> None:
        self.asked = asked  # how many messages, or 0 for all that the topic's limit allows
        self.messages: float = asked or limit
        self.seconds = seconds
        self.place = (link, 0)  # the first link kept, and the number of messages before it

    @classmethod
    def of(cls, topic: Topic[Any], messages: int, seconds: float | None) -> Replay | None:
        """Return what a topic keeps, if it keeps something."""
        checked_count("replay", messages, least=0)
        limit = checked_limit("replay_seconds", seconds)
        if messages > topic._limits.messages:
            raise ValueError(f"replay keeps {messages} messages, so limit must be at least that")
        if not messages and seconds is None:
            return None
        return cls(topic._end[0], messages, topic._limits.messages, limit)

    def move(self, published: int, now: float, seek: Callable[..., tuple[Hold, int]]) -> None:
        """Let go of what has become too much or too old."""
        link, seq = self.place
        following: Link[Any] | None = None
        for _ in range(_WALK):
            following = link.next
            if not following or not (
                published - seq > self.messages or now - link.time > self.seconds
            ):
                return
            seq += 1
            link = following
            self.place = (link, seq)
        start = Hold(link)
        del link, following
        to, seq = seek(
            start,
            seq,
            lambda link, seq: published - seq > self.messages or now - link.time > self.seconds,
        )
        self.place = (to.link, seq)
        let_go(start)

    def cut(self, kept: Milestone[Any]) -> bool:
        """Let go of what is before a milestone, and return whether there was something."""
        link, seq = self.place
        if seq >= kept.seq:
            return False
        passed = Hold(link)
        del link
        self.place = (kept, kept.seq)
        let_go(passed)
        return True

    def __del__(self) -> None:
        if hasattr(self, "place"):  # otherwise an interruption came before it was made
            hold = Hold(self.place[0])
            del self.place
            let_go(hold)
