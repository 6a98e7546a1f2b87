"""The one checker of the promises P1 (exact) and P3 (one order).

Publishers publish through a `Ledger`, as `(publisher, number)` tuples. Readers write down what they
got. At the end `Ledger.check` compares what publishers were told with what readers saw, and readers
with each other. Nothing here trusts a counter of the topic: counters are compared with the truth.

Where nobody can write everything down, `miscounts` is rule 6 alone, of one subscription.

The rules, in words:

1. A reader gets no message twice, none that nobody published, and none whose `publish()` raised.
2. A reader gets every message whose `publish()` began after it subscribed; where messages are
   missing, it was told about exactly as many.
3. The messages of each publisher arrive in the order they were published.
4. There is one order of all messages that fits what every reader saw.
5. Sequence numbers name the same message to every reader of a topic, and grow.
6. `received + skipped + missed == position - start`.

A publish that was under way while a reader subscribed may be delivered or not, and so may one whose
message another thread was about to link, which was publishing or reading. A plain list without
counters, such as the documented one, is held to rules 1 to 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from itertools import count, pairwise
from typing import Any, Generic, Protocol, TypeVar

Published = tuple[str, int]
S = TypeVar("S")


class Publishes(Protocol):
    """What a topic must be able to do to be examined."""

    def publish(self, value: Published, /) -> object: ...


class LawBroken(AssertionError):
    """A history that no bus should produce."""


def told_of(subscription: Any) -> int:
    """Return how many messages a subscription says it did not deliver."""
    told: int = subscription.missed + subscription.skipped
    return told


def miscounts(
    subscription: Any, start: int, got: int, inherited: tuple[int, int] = (0, 0)
) -> Iterator[str]:
    """Say how the counters of a subscription break rule 6, if they do.

    Args:
        subscription: Who counts.
        start: The number of its position when it had counted nothing.
        got: How many messages it was seen to deliver since then.
        inherited: How many of these another has delivered, whose place it took, and how many that
            one said it did not deliver.
    """
    received: int = inherited[0] + subscription.received
    if received != got:
        yield f"received {got} messages, but counts {received}"
    moved, told = _position(subscription) - start, inherited[1] + told_of(subscription)
    if received + told != moved:
        yield f"moved by {moved} messages, but received {received} and was told of {told}"


class Reader(Generic[S]):
    """What one subscription got, in its order."""

    def __init__(
        self,
        name: str,
        subscription: S,
        asked: int,
        subscribed: int,
        start: int,
        wants: Callable[[Published], bool],
    ) -> None:
        self.name = name
        self.subscription = subscription
        self.asked = asked
        self.subscribed = subscribed
        self.start = start
        self.wants = wants
        self.values: list[Published] = []
        self.seqs: list[int] = []
        self.left = False
        self.counts = _counts(subscription)
        self.inherited = 0, 0  # messages that another got, whose place this has, and was told of

    def got(self, value: Published, seq: int | None = None) -> None:
        """Write down a message, numbered as its reader believes.

        Args:
            value: What was received.
            seq: Its number, from `messages()`. Without it, the position that follows the message.
        """
        if seq is None and self.counts:
            seq = _position(self.subscription)
        self.values.append(value)
        if seq is not None:
            self.seqs.append(seq)

    def leave(self) -> None:
        """Say that this reader stopped on its own, so that later messages are not missing."""
        self.left = True

    def inherit(self, other: Reader[Any]) -> None:
        """Say that this one goes on where another stands, and answers for the whole way."""
        self.asked, self.subscribed, self.start = other.asked, other.subscribed, other.start
        self.values, self.seqs = other.values.copy(), other.seqs.copy()
        self.inherited = len(other.values), other.told

    @property
    def told(self) -> int:
        """How many messages the subscription says it did not deliver."""
        told = told_of(self.subscription) if self.counts else 0
        return self.inherited[1] + told


class Ledger:
    """Who published what, when it was accepted, and who read it. One for each topic or bus."""

    def __init__(self, topic: Publishes) -> None:
        self.topic = topic
        self.readers: list[Reader[Any]] = []
        self.begun: dict[Published, int] = {}
        self.accepted: dict[Published, int] = {}
        self._reading: list[tuple[int, int]] = []  # when this began and ended
        self._now = count()  # a clock without time: next() on it is atomic
        self._published: Counter[str] = Counter()

    def publish(self, publisher: str) -> Published:
        """Publish the next message of this publisher. Each publisher lives in one thread."""
        with self.publishing(publisher) as value:
            self.topic.publish(value)
        return value

    @contextmanager
    def publishing(self, publisher: str) -> Iterator[Published]:
        """Note that the next message of this publisher is published within, unless that raises."""
        value = (publisher, self._published[publisher])
        self._published[publisher] += 1
        self.begun[value] = next(self._now)
        yield value
        self.accepted[value] = next(self._now)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Note that somebody reads within, who may link what others have published."""
        begun = next(self._now)
        try:
            yield
        finally:
            self._reading.append((begun, next(self._now)))

    def heir(self, name: str, other: Reader[Any], subscribe: Callable[[], S]) -> Reader[S]:
        """Subscribe at the place of another reader, and hold both to what that one has got."""
        reader = self.reader(name, subscribe, other.wants)
        reader.inherit(other)
        return reader

    def reader(
        self,
        name: str,
        subscribe: Callable[[], S],
        wants: Callable[[Published], bool] = lambda _: True,
    ) -> Reader[S]:
        """Subscribe, and keep a record of what that subscription gets.

        Args:
            name: For complaints.
            subscribe: Returns the subscription.
            wants: Which messages it has subscribed to, if not to all.
        """
        asked = next(self._now)
        subscription = subscribe()
        start = _position(subscription) if _counts(subscription) else 0
        reader = Reader(name, subscription, asked, next(self._now), start, wants)
        self.readers.append(reader)
        return reader

    def check(self) -> None:
        """Compare everything with everything, once all publishers and readers have ended.

        Readers have read to the end, except those that said `leave()`.

        Raises:
            LawBroken: With each broken rule in words.
        """
        complaints = [
            f"reader {reader.name!r} {complaint}"
            for reader in self.readers
            for complaint in self._complaints(reader)
        ]
        complaints += _two_names(self.readers)
        complaints += _two_orders(self.readers)
        if complaints:
            raise LawBroken("\n".join(complaints))

    def _complaints(self, reader: Reader[Any]) -> Iterator[str]:
        times = Counter(reader.values)
        if twice := [value for value, often in times.items() if often > 1]:
            yield f"got {_some(twice)} more than once"
        if invented := [value for value in times if value not in self.begun]:
            yield f"got {_some(invented)}, which nobody published"
        refused = [value for value in times if value in self.begun and value not in self.accepted]
        if refused:
            yield f"got {_some(refused)}, although publish() raised"
        if unwanted := [value for value in times if not reader.wants(value)]:
            yield f"got {_some(unwanted)}, to which it had not subscribed"
        if early := [value for value in times if self._before(value, reader)]:
            yield f"got {_some(early)}, published before it subscribed"
        yield from _wrong_turns(reader)
        yield from self._losses(reader)
        if reader.counts:
            yield from miscounts(
                reader.subscription, reader.start, len(reader.values), reader.inherited
            )
            if any(later <= earlier for earlier, later in pairwise([reader.start, *reader.seqs])):
                yield f"has sequence numbers that do not grow: {_some(reader.seqs)}"

    def _before(self, value: Published, reader: Reader[Any]) -> bool:
        """Whether the message was surely in the list when the reader asked to subscribe."""
        # With another publishing or reading, that one may be about to link this one.
        return self.accepted.get(value, reader.asked) < reader.asked and not any(
            begun < reader.asked < ended for begun, ended in self._under_way()
        )

    def _under_way(self) -> Iterator[tuple[int, int]]:
        for value, begun in self.begun.items():
            yield begun, self.accepted.get(value, begun)
        yield from self._reading

    def _losses(self, reader: Reader[Any]) -> Iterator[str]:
        last: dict[str, int] = dict(reader.values)
        due = [
            (publisher, number)
            for publisher, number in self.accepted
            if self.begun[publisher, number] > reader.subscribed
            and reader.wants((publisher, number))
            and (not reader.left or number < last.get(publisher, -1))
        ]
        seen = set(reader.values)
        lost = [value for value in due if value not in seen]
        if len(lost) > reader.told:
            told = f" and was told of {reader.told}" if reader.told else ""
            yield (
                f"never got {len(lost)} of {len(due)} messages"
                f" accepted after it subscribed{told}: {_some(lost)}"
            )


def _wrong_turns(reader: Reader[Any]) -> Iterator[str]:
    last: dict[str, int] = {}
    for publisher, number in reader.values:
        if number < last.get(publisher, -1):
            earlier = (publisher, last[publisher])
            yield f"got {_some([earlier])} before {_some([(publisher, number)])}"
            return
        last[publisher] = number


def _two_names(readers: Sequence[Reader[Any]]) -> Iterator[str]:
    values: dict[tuple[int, int], tuple[Published, str]] = {}
    for reader in readers:
        numbered = id(getattr(reader.subscription, "topic", None))  # all that have these numbers
        for seq, value in zip(reader.seqs, reader.values, strict=False):
            known, name = values.setdefault((numbered, seq), (value, reader.name))
            if known != value:
                yield (
                    f"readers {name!r} and {reader.name!r} disagree on message {seq}:"
                    f" {_some([known])} or {_some([value])}"
                )
                return


def _two_orders(readers: Sequence[Reader[Any]]) -> Iterator[str]:
    before: TopologicalSorter[Published] = TopologicalSorter()
    witness: dict[tuple[Published, Published], str] = {}
    for reader in readers:
        for earlier, later in pairwise(dict.fromkeys(reader.values)):
            before.add(later, earlier)
            witness.setdefault((earlier, later), reader.name)
    try:
        before.prepare()
    except CycleError as error:
        circle: list[Published] = error.args[1]
        steps = ", ".join(
            f"{witness[earlier, later]!r} got {_some([earlier])} before {_some([later])}"
            for earlier, later in pairwise(circle)
        )
        yield f"no one order fits all readers: {steps}"


def _counts(subscription: object) -> bool:
    return hasattr(subscription, "position")


def _position(subscription: Any) -> int:
    position = subscription.position
    seq: int = getattr(position, "seq", position)
    return seq


def _some(items: Iterable[object]) -> str:
    texts = [f"{item[0]}:{item[1]}" if isinstance(item, tuple) else str(item) for item in items]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
