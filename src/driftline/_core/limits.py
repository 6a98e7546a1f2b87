"""Limits: what a topic keeps at most for readers that do not read.

The problem: a reader that stalls keeps every later message. Nobody has a list of stalled readers,
and publishing must not look at each of them.

The model: when the oldest milestone alive is too far back, somebody stands at it or before it. Only
then are the subscriptions looked through, and the link of each that is too far back is *cut*: it
loses its message, and leads to a `Gap` instead of the rest, which is freed. All gaps of a topic are
one. It leads to the milestone from which on messages are kept, keeps these for whoever returns, and
is moved on as more are published. A reader that meets it knows its own number and the milestone's,
so it knows exactly how many messages it has missed.

Invariants:

L1. Only who has the topic's turn cuts.
L2. A link is cut only if its number is less than that of the milestone kept. A reader counts a
    message before it moves its link, so a number read after the link is at least the link's own.
L3. A reader that takes a message in the moment of the cut has it, and has not missed it: its next
    link is met by the next cut.
L4. What is kept is at least the limit, and at most two distances of milestones more, which is an
    eighth of the limit or 64 messages, whichever is smaller.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import inf
from sys import getrefcount
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

from driftline._core.checks import checked_limit
from driftline._core.hold import Hold
from driftline._core.link import END, Gap, Link, Milestone
from driftline._core.milestones import Mark, Milestones
from driftline._core.parking import let_go

if TYPE_CHECKING:
    from driftline._core.places import Places
    from driftline._core.replay import Replay
    from driftline._core.senders import Senders
    from driftline._core.topic import Topic


class Limits:
    """Those of one topic; `inf` is no limit."""

    __slots__ = (
        "_gap",
        "_only_messages",
        "any",
        "messages",
        "milestones",
        "seconds",
        "seek",
        "size",
    )

    def __init__(self) -> None:
        self.messages = self.size = self.seconds = inf
        self.any = self._only_messages = False
        self.milestones = Milestones()
        self.seek = self.milestones.seek
        self._gap: ref[Gap] | None = None

    def set(self, messages: float, size: float, seconds: float) -> None:
        """Set the limits, from the next message on."""
        self.messages, self.size, self.seconds = messages, size, seconds
        self.any = min(messages, size, seconds) < inf
        self._only_messages = min(size, seconds) == inf
        self.milestones.set_apart(messages, size, seconds)

    def cut(self, topic: Topic[Any]) -> None:
        """Cut off whoever is further back than the limits allow."""
        end, published = topic._end
        if self._only_messages and published - self.milestones.oldest < self.messages:
            return  # as mostly
        now, total = monotonic(), end.before

        def far(link: Link[Any], seq: int) -> bool:
            return (
                published - seq >= self.messages
                or total - link.before >= self.size
                or now - link.time >= self.seconds
            )

        kept: Any = self.milestones.pop(far)  # a hold of a milestone
        gap = None if self._gap is None else self._gap()
        gap_kept = Hold(END if gap is None else gap)  # `gap` may be the last to refer to it
        if kept.link is END or (gap is not None and kept.link.seq < gap.kept.seq):
            let_go(kept)  # the latter is being freed, and the limit was raised meanwhile
            return
        if gap is not None:
            passed = Hold(gap.kept)
            gap.kept = kept.link
            let_go(passed)
        replayed = topic._replay is not None and topic._replay.cut(kept.link)
        if getrefcount(kept.link) > _HELD_BY_ONE + (gap is not None) + replayed:
            self._cut_before(kept.link.seq, Gap(kept.link) if gap is None else gap, topic)
        let_go(kept)
        del gap
        let_go(gap_kept)

    def _cut_before(self, seq: int, gap: Gap, topic: Topic[Any]) -> None:
        self._gap = ref(gap)
        readers: Iterable[Any] = chain(topic.subscriptions(), topic._places.copy())
        for reader in readers:
            if reader._seq < seq and reader._link.next:  # most are not, and cost no more
                hold = Hold(reader._link)
                rest = Hold(hold.link.next or END)
                if rest.link is not END and reader._seq < seq:
                    hold.link.next = gap
                    del hold.link.value
                    let_go(rest)


def _references_held_by_one() -> int:
    hold = Hold(Milestone())
    return getrefcount(hold.link)


_HELD_BY_ONE = _references_held_by_one()


class Limited:
    """The part of a `Topic` that keeps no more than it is told to."""

    __slots__ = ()

    _limits: Limits
    _places: Places
    _replay: Replay | None
    _senders: Senders
    _sizeof: Any

    @property
    def limit(self) -> int | None:
        """How many messages are kept at most for readers that do not read; None is all.

        Can be set at any time, and holds from the next message on; likewise the others. Up to
        64 messages or an eighth of a limit more may be kept, whichever is less. A subscription
        that is further behind misses what is before, and is told as its `on_lag` says.

        When it is lowered while a reader is behind, up to 1,024 more may be kept until as many as
        the new limit have been published.
        """
        return None if self._limits.messages == inf else int(self._limits.messages)

    @limit.setter
    def limit(self, messages: int | None) -> None:
        self._limit(messages, self.limit_bytes, self.limit_seconds)

    @property
    def limit_bytes(self) -> int | None:
        """How many bytes are kept at most for readers that do not read; None is any number."""
        return None if self._limits.size == inf else int(self._limits.size)

    @limit_bytes.setter
    def limit_bytes(self, size: int | None) -> None:
        self._limit(self.limit, size, self.limit_seconds)

    @property
    def limit_seconds(self) -> float | None:
        """For how long messages are kept for readers that do not read; None is for ever."""
        return None if self._limits.seconds == inf else self._limits.seconds

    @limit_seconds.setter
    def limit_seconds(self, seconds: float | None) -> None:
        self._limit(self.limit, self.limit_bytes, seconds)

    def _limit(self, messages: int | None, size: int | None, seconds: float | None) -> None:
        limits = (
            checked_limit("limit", messages, whole="messages"),
            checked_limit("limit_bytes", size, whole="bytes", sizeof=self._sizeof),
            checked_limit("limit_seconds", seconds),
        )
        if self._replay is not None:
            if self._replay.asked > limits[0]:
                raise ValueError(
                    f"replay keeps {self._replay.asked} messages, so limit must be at least that"
                )
            self._replay.messages = self._replay.asked or limits[0]
        self._limits.set(*limits)
        self._senders.wake()

    def _keep(self: Any, marks: list[Mark], now: float) -> None:
        """Keep no more than is to be kept, after a message was linked. With the topic's turn."""
        if self._replay is not None:
            self._replay.move(self._end[1], now, self._limits.seek)
        if marks:
            self._limits.milestones.add(marks, self._end[0].before, now)
            if self._limits.any:
                self._limits.cut(self)
        if self._places:
            self._places.expire()
