"""Streams that begin with the past: what the matching topics keep for those who come later.

The messages that they keep are put in the order of the bus, and copied into a chain that leads to
the end of the stream. Only who has the turn can do that without a gap and without a message twice,
because a message is in its topic a moment before it is in the streams.
"""

from __future__ import annotations

from math import inf
from operator import attrgetter
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from driftline._bus.tree import Tree
from driftline._core.checks import checked_limit
from driftline._core.hold import Hold
from driftline._core.link import Link, Origin, Past
from driftline._core.message import new_epoch

if TYPE_CHECKING:
    from driftline._bus.topics import Stream
    from driftline._core.topic import Topic

_TRIES: Final = 10_000
_PAUSE: Final = 0.0001  # seconds; a turn takes some microseconds, unless its thread has to wait


class _Kept(NamedTuple):
    time: float
    size: int
    origin: Origin
    value: Any


def history(stream: Stream, messages: int, seconds: float | None) -> tuple[Hold, int]:
    """Return where the last so many messages begin, or those of so many seconds.

    Cost: linear in the number of topics of the bus, and in the messages that the matching ones
    keep, but at most so many of each.
    """
    oldest = monotonic() - checked_limit("replay_seconds", seconds)
    most = int(min(messages or inf, stream._limits.messages, 1 << 62))
    turn = stream._turn
    for _ in range(_TRIES):
        try:
            del turn.free
        except AttributeError:
            sleep(_PAUSE)
            continue
        try:
            stream._link_all()
            return _begin(stream, most, oldest)
        finally:
            turn.free = True
            stream._link_inbox()  # what has come meanwhile
    raise RuntimeError(
        "the past cannot be read in the middle of a publish(), as in a finalizer or a signal "
        "handler that interrupts one: subscribe without replay there"
    )


def _begin(stream: Stream, most: int, oldest: float) -> tuple[Hold, int]:
    tree: Tree[bool] = Tree()
    for pattern in stream.patterns:
        tree.add(pattern, True)
    past: list[_Kept] = []
    for topic in stream._joint.topics():
        if topic._replay is not None and tree.match(topic.name):
            past.extend(_kept(topic, int(min(most, topic._replay.messages))))
    past = [each for each in past if each.time >= oldest]
    past = sorted(past, key=attrgetter("time"))[-most:]
    link, seq = stream._end
    before, epoch = link.before, new_epoch()
    for each in reversed(past):
        copy: Past[Any] = Past()
        before -= each.size
        copy.value, copy.time, copy.before = each.value, each.time, before
        copy.origin, copy.epoch, copy.next = each.origin, epoch, link
        link = copy
    return Hold(link), seq - len(past)


def _kept(topic: Topic[Any], most: int) -> list[_Kept]:
    """Return the last so many messages that a topic keeps for those who come later."""
    kept: list[_Kept] = []
    start, seq = topic._place_back(most, None)
    link: Link[Any] = start.link
    while following := link.next:
        seq += 1
        size = following.before - link.before
        kept.append(_Kept(link.time, size, (topic.name, seq), link.value))
        link = following
    return kept
