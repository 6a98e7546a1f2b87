"""P1, P3, P7 and P8 by a model: whatever is done to a topic, plain lists tell what must come of it.

The machine knows the size of every message published, and for each reader its counters. From these
it says what each call must return or raise. Which messages a cut takes is free within bounds: the
machine looks where the cut is, checks that it is allowed there, and then knows exactly what each
reader has missed. After every step it compares everything that can be seen with what it knows,
looks which messages are alive, and has the core check its own invariants.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from math import inf
from threading import Timer
from typing import Any
from weakref import WeakValueDictionary

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from driftline import Lagged, Message, Position, PositionLost, SlowConsumer, Subscription, Topic
from driftline._core.invariants import check
from driftline._core.link import Gap

LARGEST = 9  # bytes
KEYS = 3
MOST = 6  # readers
PATIENCE = 10.0  # seconds, after which a test has failed
LONG = 1e6  # seconds
EXAMPLES = 200
STEPS = 40

BLOCKED = "nothing is there, and the topic is open"
ENDED = "nothing is there, and the topic is closed"
READY = "a message is there"


class Payload:
    """A message that can be found again as long as it lives."""

    __slots__ = ("__weakref__", "number", "size")

    def __init__(self, number: int, size: int) -> None:
        self.number = number  # of messages before it
        self.size = size


def size_of(payload: Payload) -> int:
    return payload.size


def key_of(payload: Payload) -> int:
    return payload.number % KEYS


@dataclass(eq=False)
class Place:
    """Somewhere in a topic: a number, and from which one on it can be read if it was cut."""

    seq: int
    kept: int | None = None


@dataclass
class Tolerance:
    """What a reader allows."""

    max_lag: int | None
    max_lag_bytes: int | None
    on_lag: str

    @property
    def limited(self) -> bool:
        return not (self.max_lag is None and self.max_lag_bytes is None)


class Reader(Place):
    """What the model knows of a subscription."""

    def __init__(self, subscription: Subscription[Payload], seq: int, tolerance: Tolerance) -> None:
        super().__init__(seq)
        self.subscription = subscription
        self.start = seq
        self.tolerance = tolerance
        self.received = self.missed = self.skipped = 0
        self.inexact = False  # whether it has skipped a part of what was cut

    def move(self, *, received: int = 0, missed: int = 0, skipped: int = 0) -> None:
        self.received += received
        self.missed += missed
        self.skipped += skipped
        self.seq += received + missed + skipped
        if self.kept is not None and self.seq >= self.kept:
            self.kept = None
        self.inexact = self.kept is not None and (self.inexact or skipped > 0)


def numbers_of(item: Any) -> Any:
    """Return what was read, with numbers in place of payloads."""
    if isinstance(item, Message):
        assert item.seq == item.value.number + 1, "a message with the number of another"
        return item.value.number
    if isinstance(item, list):
        return [payload.number for payload in item]
    if isinstance(item, dict):
        return {key: payload.number for key, payload in item.items()}
    return item.number


ERRORS = (
    Lagged,
    SlowConsumer,
    anyio.WouldBlock,
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    StopIteration,
    StopAsyncIteration,
    TimeoutError,
    asyncio.CancelledError,
)


def told(error: BaseException) -> Any:
    """Return what an error says, and not the error, which keeps what its traceback refers to."""
    missed = getattr(error, "missed", None)
    return type(error) if missed is None else (type(error), missed)


def outcome(read: Callable[[], Any]) -> Any:
    """Return what was read, or told instead."""
    try:
        return numbers_of(read())
    except ERRORS as error:
        return told(error)


async def outcome_in_task(reading: Awaitable[Any]) -> Any:
    """Likewise. A task that ends with an exception may be in a cycle with it."""
    try:
        return numbers_of(await reading)
    except ERRORS as error:
        return told(error)


counts = st.sampled_from([1, 1, 2, 3, 5, 8, 20, 70])
sizes = st.sampled_from([0, 1, 1, 5, LARGEST])
limits = st.sampled_from([None, 1, 2, 3, 7, 16, 33, 64])
byte_limits = st.sampled_from([None, None, 1, 10, 64, 200, 500])
replays = st.sampled_from([0, 0, 1, 5, 30])
which = st.integers(0, MOST - 1)
tolerances = st.builds(
    Tolerance,
    st.sampled_from([None, None, None, 1, 2, 10, 40]),
    st.sampled_from([None, None, None, 1, 5, 10]),
    st.sampled_from(["raise", "skip", "latest", "close"]),
)


def at_most(readers: int) -> Callable[[Any], Any]:
    return precondition(lambda machine: len(machine.readers) <= readers)


has_readers = precondition(lambda machine: machine.readers)
is_open = precondition(lambda machine: not machine.closed)


class Model(RuleBasedStateMachine):
    """One topic, its readers, and the lists that they are compared with."""

    topic: Topic[Payload]

    def __init__(self) -> None:
        super().__init__()
        gc.disable()  # what is freed is freed without it
        self.loop = asyncio.new_event_loop()
        self.before = [0]  # the bytes before each message, and at the end of all
        self.alive: WeakValueDictionary[int, Payload] = WeakValueDictionary()
        self.readers: list[Reader] = []
        self.places: list[Place] = []
        self.replayed = 0  # the number from which on messages are replayed
        self.changed = 0  # the number from which on the limits hold
        self.closed = self.failed = False

    def teardown(self) -> None:
        self.loop.close()
        gc.enable()

    @initialize(
        limit=limits,
        size=byte_limits,
        replay=st.sampled_from([0, 0, 1, 5, 30]),
        sized=st.booleans(),
    )
    def begin(self, limit: int | None, size: int | None, replay: int, sized: bool) -> None:
        self.sized = sized
        self.limit, self.limit_bytes = limit, size if sized else None
        self.replay = replay if limit is None else min(limit, replay)
        self.topic = Topic(
            "model",
            limit=self.limit,
            limit_bytes=self.limit_bytes,
            replay=self.replay,
            sizeof=size_of if sized else None,
        )

    # What the lists say.

    @property
    def published(self) -> int:
        return len(self.before) - 1

    def bytes_from(self, seq: int) -> int:
        return self.before[-1] - self.before[seq]

    def cuttable(self) -> int:
        """Return how many messages there are before those that the limits protect."""
        messages, size = self.limit or inf, self.limit_bytes or inf
        seq = 0
        while seq < self.published and (
            self.published - seq > messages or self.bytes_from(seq + 1) >= size
        ):
            seq += 1
        return seq

    def next_payload(self, size: int, ahead: int = 0) -> Payload:
        payload = Payload(self.published + ahead, size)
        self.alive[payload.number] = payload
        return payload

    def has_published(self, *sizes: int) -> None:
        for size in sizes:
            self.before.append(self.before[-1] + size)
        cuttable = self.cuttable()
        for place, link in self.links():
            if not isinstance(link.next, Gap):
                assert place.kept is None, "it was cut, and now it is not"
            elif link.next.kept.seq != place.kept:
                kept = link.next.kept.seq
                assert place.seq < kept <= cuttable, "it was cut within the limits"
                assert kept > (place.kept or 0), "what is kept has grown"
                place.kept = kept
        if self.replay:
            least = max(self.replayed, self.published - self.replay)
            assert self.topic._replay is not None
            self.replayed = self.topic._replay.place[1]
            assert least <= self.replayed <= max(least, cuttable), "replay keeps another number"

    def links(self) -> Iterator[tuple[Place, Any]]:
        for reader in self.readers:
            yield reader, reader.subscription._link
        for place, parked in zip(self.places, self.topic._places, strict=True):
            yield place, parked._link

    def look(self, reader: Reader) -> Any:
        """Have a reader pass over what it cannot have, and return what reading comes upon."""
        allowed = reader.tolerance
        reached = reader.seq if reader.kept is None else reader.kept
        if reader.kept is not None or allowed.limited:
            while reached < self.published and (
                self.published - reached > (allowed.max_lag or inf)
                or self.bytes_from(reached) > (allowed.max_lag_bytes or inf)
            ):
                reached += 1
            if allowed.on_lag == "latest" and reached > reader.seq:
                reached = max(reached, self.published - 1)
        missed = reached - reader.seq
        reader.move(missed=missed)
        if missed and allowed.on_lag == "raise":
            return Lagged, missed
        if missed and allowed.on_lag == "close":
            self.readers.remove(reader)
            return SlowConsumer, missed
        if reader.seq < self.published:
            return READY
        return ENDED if self.closed else BLOCKED

    def reader(self, which: int) -> Reader:
        return self.readers[which % len(self.readers)]

    def joins(self, subscription: Subscription[Payload], seq: int, tolerance: Tolerance) -> Reader:
        assert subscription.position == Position(self.topic._epoch, seq)
        reader = Reader(subscription, seq, tolerance)
        self.readers.append(reader)
        return reader

    def allowed(self, tolerance: Tolerance) -> Tolerance:
        size = tolerance.max_lag_bytes if self.sized else None
        return Tolerance(tolerance.max_lag, size, tolerance.on_lag)

    # Publishing.

    @is_open
    @rule(size=sizes, count=counts)
    def publish(self, size: int, count: int) -> None:
        for _ in range(count):
            self.topic.publish(self.next_payload(size))
            self.has_published(size)

    @is_open
    @rule(sizes=st.lists(sizes, max_size=3), count=counts)
    def publish_many(self, sizes: list[int], count: int) -> None:
        sizes *= count
        self.topic.publish_many(self.next_payload(size, n) for n, size in enumerate(sizes))
        self.has_published(*sizes)

    @precondition(lambda machine: machine.published > machine.changed + 50)
    @rule(limit=limits, size=byte_limits)
    def change_limits(self, limit: int | None, size: int | None) -> None:
        if limit is not None and limit < self.replay:
            with pytest.raises(ValueError, match="replay"):
                self.topic.limit = limit
            return
        self.topic.limit = self.limit = limit
        if self.sized:
            self.topic.limit_bytes = self.limit_bytes = size
        self.changed = self.published

    @is_open
    @precondition(lambda machine: machine.published > 30)
    @rule(failed=st.booleans())
    def end(self, failed: bool) -> None:
        self.topic.close(OSError("failed") if failed else None)
        self.closed, self.failed = True, failed

    @precondition(lambda machine: machine.closed)
    @rule()
    def publish_too_late(self) -> None:
        with pytest.raises(anyio.ClosedResourceError):
            self.topic.publish(Payload(self.published, 0))
        with pytest.raises(anyio.ClosedResourceError):
            self.topic.publish_many([Payload(self.published, 0)])

    # Joining and leaving.

    @at_most(MOST)
    @rule(tolerance=tolerances)
    def subscribe(self, tolerance: Tolerance) -> None:
        tolerance = self.allowed(tolerance)
        self.joins(self.topic.subscribe(**vars(tolerance)), self.published, tolerance)

    @at_most(MOST)
    @rule(count=st.integers(1, 31), tolerance=tolerances)
    def subscribe_with_replay(self, count: int, tolerance: Tolerance) -> None:
        tolerance = self.allowed(tolerance)
        if count > self.replay:
            with pytest.raises(ValueError, match="keeps"):
                self.topic.subscribe(replay=count)
            return
        start = max(self.published - count, self.replayed)
        self.joins(self.topic.subscribe(replay=count, **vars(tolerance)), start, tolerance)

    @at_most(MOST)
    @rule(back=st.integers(-2, 100), as_text=st.booleans(), tolerance=tolerances)
    def subscribe_since(self, back: int, as_text: bool, tolerance: Tolerance) -> None:
        tolerance = self.allowed(tolerance)
        seq = max(0, self.published - back)
        position = Position(self.topic._epoch, seq)
        since = str(position) if as_text else position
        found = [self.published]
        if self.replay:
            found.append(self.replayed)
        found += [place.seq for place in self.places if place.seq <= seq and place.kept is None]
        if min(found) <= seq <= self.published:
            self.joins(self.topic.subscribe(since=since, **vars(tolerance)), seq, tolerance)
            return
        with pytest.raises(PositionLost) as caught:
            self.topic.subscribe(since=since)
        assert caught.value.missed == (min(found) - seq if seq <= self.published else None)

    @at_most(MOST)
    @has_readers
    @rule(which=which, parked=st.integers(0, 10))
    def come_back(self, which: int, parked: int) -> None:
        if self.places:
            back = self.published - self.places[parked % len(self.places)].seq
            self.subscribe_since(back, True, self.reader(which).tolerance)

    @at_most(MOST)
    @has_readers
    @rule(which=which)
    def fork(self, which: int) -> None:
        one = self.reader(which)
        other = self.joins(one.subscription.fork(), one.seq, one.tolerance)
        other.kept, other.inexact = one.kept, one.inexact

    @has_readers
    @rule(which=which, tolerance=tolerances)
    def change_tolerance(self, which: int, tolerance: Tolerance) -> None:
        reader = self.reader(which)
        reader.tolerance = self.allowed(tolerance)
        for name, value in vars(reader.tolerance).items():
            if self.sized or name != "max_lag_bytes":
                setattr(reader.subscription, name, value)

    @has_readers
    @rule(which=which, how=st.sampled_from(["close", "forget", "park", "park"]))
    def leave(self, which: int, how: str) -> None:
        reader = self.reader(which)
        self.readers.remove(reader)
        if how == "park":
            position = reader.subscription.park(LONG)
            assert position.seq == reader.seq
            self.places.append(Place(reader.seq, reader.kept))
        if how == "close":
            reader.subscription.close()
        if how != "forget":
            assert (reader.subscription.closed, reader.subscription.lag) == (True, 0)
            with pytest.raises(anyio.ClosedResourceError):
                reader.subscription.receive_nowait()

    # Reading.

    @has_readers
    @rule(which=which, n=st.integers(0, 40))
    def skip(self, which: int, n: int) -> None:
        reader = self.reader(which)
        expected = min(n, self.published - reader.seq)
        reader.move(skipped=expected)
        assert reader.subscription.skip(n) == expected

    @has_readers
    @rule(which=which)
    def skip_to_latest(self, which: int) -> None:
        reader = self.reader(which)
        expected = max(0, self.published - reader.seq - 1)
        reader.move(skipped=expected)
        assert reader.subscription.skip_to_latest() == expected

    @has_readers
    @rule(
        which=which,
        way=st.sampled_from(["one", "messages", "batches", "latest", "latest_by"]),
        how=st.sampled_from(["nowait", "blocking", "task"]),
        most=st.sampled_from([None, 1, 4, 50]),
        times=st.sampled_from([1, 1, 3, 30]),
    )
    def read(self, which: int, way: str, how: str, most: int | None, times: int) -> None:
        reader = self.reader(which)
        for _ in range(times):
            if reader not in self.readers:
                break
            self.read_once(reader, way, how, most)

    def read_once(self, reader: Reader, way: str, how: str, most: int | None) -> None:
        subscription = reader.subscription
        expected = self.look(reader)
        if expected == BLOCKED:  # perhaps because all was missed
            assert outcome(subscription.receive_nowait) is anyio.WouldBlock
            assert outcome(lambda: subscription.receive_blocking(0)) is TimeoutError
            return
        read, end = self.way_to_read(subscription, way, how, most)
        seq, available = reader.seq, self.published - reader.seq
        if expected == ENDED:
            expected = anyio.BrokenResourceError if self.failed else end
        elif expected == READY and way == "batches":
            count = min(available, most or available)
            reader.move(received=count)
            expected = list(range(seq, seq + count))
        elif expected == READY and way == "latest":
            reader.move(skipped=available - 1, received=1)
            expected = self.published - 1
        elif expected == READY and way == "latest_by":
            expected = {number % KEYS: number for number in range(seq, self.published)}
            reader.move(received=len(expected), skipped=available - len(expected))
        elif expected == READY:
            reader.move(received=1)
            expected = seq
        assert read() == expected

    def way_to_read(
        self, subscription: Subscription[Payload], way: str, how: str, most: int | None
    ) -> tuple[Callable[[], Any], type[Exception]]:
        """Return how to read, and what that raises at the end."""
        if way == "one" and how != "task":
            one = {
                "nowait": subscription.receive_nowait,
                "blocking": lambda: subscription.receive_blocking(PATIENCE),
            }
            return lambda: outcome(one[how]), anyio.EndOfStream
        views: dict[str, Callable[[], Any]] = {
            "one": lambda: subscription,
            "messages": subscription.messages,
            "batches": lambda: subscription.batches(most),
            "latest": subscription.latest,
            "latest_by": lambda: subscription.latest_by(key_of),
        }
        view = views[way]()
        if how != "task":

            def step_blocking() -> Any:
                giving_up = Timer(PATIENCE, subscription.close)
                giving_up.start()
                try:
                    return next(view)
                finally:
                    giving_up.cancel()
                    giving_up.join()  # it refers to the subscription

            return lambda: outcome(step_blocking), StopIteration

        async def bounded() -> Any:
            task = self.loop.create_task(outcome_in_task(anext(view)))
            done, _ = await asyncio.wait([task], timeout=PATIENCE)
            assert done, "it waits for ever"
            return task.result()

        return lambda: self.loop.run_until_complete(bounded()), StopAsyncIteration

    @is_open
    @has_readers
    @rule(which=which, size=sizes, what=st.sampled_from(["cancel", "publish", "both"]))
    def wait(self, which: int, size: int, what: str) -> None:
        reader = self.reader(which)
        if reader.seq == self.published:
            self.loop.run_until_complete(self.wait_in_task(reader, size, what))

    async def wait_in_task(self, reader: Reader, size: int, what: str) -> None:
        task = self.loop.create_task(outcome_in_task(reader.subscription.receive()))
        await asyncio.sleep(0)
        assert reader.subscription._reading
        with pytest.raises(anyio.BusyResourceError):
            reader.subscription.receive_nowait()
        expected: Any = asyncio.CancelledError
        if what != "cancel":
            self.topic.publish(self.next_payload(size))
            self.has_published(size)
        if what == "publish":
            seen = self.look(reader)
            if seen == READY:
                seen = reader.seq
                reader.move(received=1)
            if seen != BLOCKED:
                expected = seen
            for _ in range(10):
                await asyncio.sleep(0)
        task.cancel()
        assert await task == expected

    # What must hold after every step.

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "topic"):
            return
        check(self.topic)
        assert self.topic.published == self.published
        assert self.topic.statistics().parked == len(self.places)
        for reader in self.readers:
            subscription = reader.subscription
            assert subscription.received == reader.received
            assert subscription.missed == reader.missed
            assert subscription.skipped == reader.skipped
            assert subscription.position.seq == reader.seq
            assert subscription.lag == self.published - reader.seq
            if not self.sized:
                assert subscription.lag_bytes is None
            elif not reader.inexact:
                assert subscription.lag_bytes == self.bytes_from(reader.seq)
        subscriptions = [reader.subscription for reader in self.readers]
        assert self.topic.subscriptions() == subscriptions

    @invariant()
    def keeps_what_is_needed_and_nothing_else(self) -> None:
        needed = [place.seq if place.kept is None else place.kept for place in self.places]
        needed += [place.seq if place.kept is None else place.kept for place in self.readers]
        if self.replay:
            needed.append(self.replayed)
        oldest = min(needed, default=self.published)
        assert sorted(self.alive) == list(range(oldest, self.published))
        if self.limit is not None:
            most = self.limit + min(64, self.limit // 8)
            assert oldest >= self.published - most or self.published - self.changed <= most
        if self.limit_bytes is not None:
            most = self.limit_bytes + self.limit_bytes // 8 + LARGEST
            assert self.bytes_from(oldest) <= most or self.bytes_from(self.changed) <= most


@pytest.mark.once
def test_p1_p3_p7_and_p8_hold_whatever_is_done() -> None:
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,  # the same steps every time
            database=None,
            deadline=None,
        ),
    )


# What the model has found.


def test_p8_replay_keeps_no_more_than_a_limit_in_bytes_and_goes_on() -> None:
    topic = Topic[bytes]("topic", limit_bytes=10, replay=100, sizeof=len)
    stalled = topic.subscribe(on_lag="skip")
    for _ in range(20):
        topic.publish(b"12345")
    late = topic.subscribe(replay=100)
    assert (late.lag, stalled.lag) == (2, 20)
    assert [late.receive_nowait(), late.missed] == [b"12345", 0]
    assert [stalled.receive_nowait(), stalled.missed] == [b"12345", 18]
    check(topic)


def test_p8_a_limit_in_bytes_holds_for_many_messages_at_once() -> None:
    topic = Topic[bytes]("topic", limit_bytes=100, sizeof=len)
    stalled = topic.subscribe(on_lag="skip")
    topic.publish_many([b"1234567890"] * 31)
    assert stalled.receive_nowait()
    assert stalled.missed == 21


def test_replay_by_age_alone_does_not_refuse_a_limit() -> None:
    topic = Topic[int]("topic", limit=10, replay_seconds=60)
    topic.limit = 5
    topic.publish_many(range(20))
    assert topic.subscribe(replay_seconds=60).lag == 5


def test_p8_one_by_one_and_many_at_once_together_keep_no_more_either() -> None:
    topic = Topic[int]("topic", limit=512)
    stalled = topic.subscribe()
    for n in range(50 * 32):
        if n % 32:
            topic.publish(0)
        else:
            topic.publish_many([0] * 63)
        gap = stalled._link.next
        kept = gap.kept.seq if isinstance(gap, Gap) else 0
        assert topic.published - kept <= 512 + 64
