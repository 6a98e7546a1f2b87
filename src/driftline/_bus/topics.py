"""Topics of a bus, and streams: how a message gets to those who subscribed to patterns.

The problem: a message must come once to each who has subscribed to a pattern that its topic
matches, in the order of its topic, and publishing must know neither how many they are nor match
names against patterns each time.

The model: a stream is a chain of its own, for all subscriptions to the same patterns. A topic
knows the streams that match its name, until the patterns of the bus change. Who links a message
into the chain of its topic links copies into the chains of these streams, in the same turn. A copy
is a link with the same value, which also knows the topic and the number that the message has there.

Invariants:

V1. A message is in the streams if and only if it is in its topic. What is to be linked into them is
    prepared before the topic has the message, and kept in the `claim` of its entry.
V2. Each copy is linked in one step with being taken from there. So who goes on after an
    interruption knows what is left.
V3. Topics refer to streams weakly. A stream lives as long as somebody is subscribed to it, or has
    parked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NoReturn, TypeVar
from weakref import ref

from driftline._bus.history import history
from driftline._bus.joint import Joint, Patterns
from driftline._bus.settings import TopicSettings
from driftline._core.hold import Hold
from driftline._core.link import END, Copy, Milestone, Origin
from driftline._core.milestones import Mark
from driftline._core.places import Place
from driftline._core.topic import Entry, Topic

T = TypeVar("T")

_new: Final = object.__new__

Copied = tuple["Stream", Origin | None, Any, int]
"""What is to be copied into a stream: a message, where it is from, and its size.

Without an origin it was copied, and the readers are still to be told."""


class Joined(Topic[T]):
    """A topic that has an inbox and a turn in common with others."""

    __slots__ = ("_joint",)

    def __init__(self, joint: Joint, name: str, settings: TopicSettings) -> None:
        super().__init__(name, **settings)
        self._joint = joint
        self._inbox, self._turn = joint.inbox, joint.turn

    def settle(self) -> None:
        """Look at the patterns as they are now, unless somebody has the turn and will do so."""
        turn = self._turn
        try:
            del turn.free
        except AttributeError:
            return
        try:
            self._look()
        finally:
            turn.free = True
        self._link_inbox()

    def _look(self) -> None:
        self._joint.settle()

    def _park(self, place: Place) -> None:
        super()._park(place)
        self._joint.park(self)


class Stream(Joined[Any]):
    """The messages of all topics that match one of some patterns, in the order of the bus.

    It is what a subscription to patterns reads. It takes no messages of its own.
    """

    __slots__ = ("patterns",)

    def __init__(self, joint: Joint, patterns: Patterns, settings: TopicSettings) -> None:
        super().__init__(joint, " ".join(patterns), settings)
        self.patterns = patterns

    def close(self, error: BaseException | None = None) -> NoReturn:
        raise TypeError("a stream of patterns ends with its bus; close that, or the subscription")

    def _append(self, value: object, sizes: object, links: object) -> NoReturn:
        raise TypeError("a stream of patterns takes no messages; publish to a topic of the bus")

    def end(self, error: BaseException | None) -> None:
        """Close it, with its bus."""
        super().close(error)

    def link_copy(self, copies: list[Copied], now: float) -> None:
        """Link the last of some copies, which is for this stream, and take it from the list."""
        _, origin, value, size = copies[-1]
        if origin is not None:  # else it was linked before an interruption
            self._link_one(copies, origin, value, size, now)
        if self._waiting.queue:
            self._waiting.wake()
        del copies[-1]

    def _link_one(
        self, copies: list[Copied], origin: Origin, value: object, size: int, now: float
    ) -> None:
        linked: Copied = (self, None, None, 0)
        last: Any
        last, published = self._end
        before = last.before + size
        link: Any = _new(Copy)  # without a call of `__init__`, which takes as long as the rest
        link.next, link.before = None, before
        marks: list[Mark] | None = None
        milestones = self._limits.milestones
        if published + 1 >= milestones.due:
            link = milestones.link(link, published + 1, before, now)
            if type(link) is Milestone:
                link.before, link.seq = before, published + 1
                marks = [(link.seq, ref(link))]
        end = (link, published + 1)
        if last.next is not END:
            # From here on nothing can be interrupted until the list says that it was linked.
            last.value = value
            last.time = now
            last.origin = origin
            self._end = end  # before the message can be seen (K3)
            last.next = link
        copies[-1] = linked
        if marks or self._places:
            self._keep(marks or [], now)

    def _place_back(self, messages: int, seconds: float | None) -> tuple[Hold, int]:
        return history(self, messages, seconds)


class BusTopic(Joined[T]):
    """A topic that a bus knows by its name."""

    __slots__ = ("_counted", "_listed", "_streams", "_version", "settings")

    def __init__(self, joint: Joint, name: str, settings: TopicSettings) -> None:
        super().__init__(joint, name, settings)
        self.settings = settings
        self._counted = 0
        self._listed = True
        self._streams: tuple[ref[Stream], ...] = ()
        self._version = -1  # of the patterns for which `_streams` was found

    def close(self, error: BaseException | None = None) -> None:
        """End the topic, which leaves the bus: its name can be used for a new one."""
        super().close(error)
        self._joint.let_go(self)  # first: whoever finds it closed under its name closes it again
        named, name = self._joint.named, self._name
        reference = named.get(name)
        if reference is not None and reference() is self:  # not in a finalizer of its own cycle
            with suppress(AttributeError):  # somebody else has closed it
                del self._listed
                del named[name]  # no call in between: nobody finds it closed for ever

    def _link(self, entry: Entry) -> None:
        joint = self._joint
        if self._version != joint.version or joint.changes:
            self._look()
        if self._streams or entry[3][0] is not None:
            self._link_with_copies(entry)
        else:
            super()._link(entry)
        published = self._end[1]
        joint.published += published - self._counted
        self._counted = published

    def _look(self) -> None:
        self._streams = tuple(self._joint.matching(self._name))
        self._version = self._joint.version

    def _link_with_copies(self, entry: Entry) -> None:
        claim = entry[3]
        if claim[0] is None:
            claim[0] = self._copies(entry)
        number, copies = claim[0]
        super()._link(entry)
        if self._end[1] == number:  # otherwise it was taken back, or came too late
            now = monotonic()
            while copies:
                copies[-1][0].link_copy(copies, now)

    def _copies(self, entry: Entry) -> tuple[int, list[Copied]]:
        """Return how many messages there will be, and the copies, of which the first is last."""
        _, value, sizes, _, count, link, _, _ = entry
        streams = [stream for reference in self._streams if (stream := reference()) is not None]
        name, seq = self._name, self._end[1]
        number = seq + count
        if count == 1:  # as mostly
            origin, size = (name, number), sizes[0] if sizes else 0
            return number, [(stream, origin, value, size) for stream in streams]
        copies: list[Copied] = []
        while seq < number:
            seq += 1
            origin, size = (name, seq), sizes[seq - number - 1] if sizes else 0
            copies += [(stream, origin, value, size) for stream in streams]
            if seq < number:
                value, link = link.value, link.next or END
        copies.reverse()
        return number, copies

    def _chains(self) -> Sequence[Topic[Any]]:
        self.settle()
        live = (reference() for reference in self._streams)
        return (self, *(stream for stream in live if stream is not None))

    def _reaches(self, chain: Topic[Any]) -> bool:
        if self._version != self._joint.version or self._joint.changes:
            return True  # that stream may have come since
        return chain is self or ref(chain) in self._streams
