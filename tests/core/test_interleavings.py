"""Every order of threads within two preemptions, and many orders of tasks.

The threads are real and stop before each instruction of driftline that another could notice. The
tasks run on loops that draw lots. Numbers of schedules are stated where they are a bound and not
all there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from random import Random
from typing import Any, TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

import driftline
from driftline import PositionLost, Subscription, Topic
from driftline._core import checks, invariants, senders
from driftline._core import subscription as subscription_module
from driftline._core.parking import on_threads
from proof import interleavings, seeded_trio, shuffled
from proof.interleavings import Scenario
from proof.law import Ledger, Published, Reader

pytestmark = [pytest.mark.once, pytest.mark.untraced]  # the explorer is a tracer itself

S = TypeVar("S")

PARKED = 3600.0  # seconds


# Threads.


@dataclass
class Meeting:
    """A few threads that meet, and what must hold afterwards."""

    threads: Sequence[Callable[[], object]]
    check: Callable[[], None]


@pytest.fixture(autouse=True)
def _for_ever_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    # The explorer ends waits that have a timeout when nothing else can happen. A reader without
    # one waits for TIMEOUT_MAX, which would hide that nobody woke it.
    for module in (subscription_module, checks, on_threads):
        monkeypatch.setattr(module, "TIMEOUT_MAX", -1, raising=False)


def explore_all(make: Callable[[], Scenario], bound: int = 2) -> None:
    explored = interleavings.explore(make, within=[driftline], bound=bound)
    assert explored.complete
    assert explored.schedules > 1


def explore_some(make: Callable[[], Scenario], most: int = 200) -> None:
    """Explore where two preemptions allow too many schedules: all with one, some with more."""
    explore_all(make, bound=1)
    interleavings.explore(make, within=[driftline], bound=0, at_random=most)


def read_ready(reader: Reader[Subscription[Published]]) -> None:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            reader.got(reader.subscription.receive_nowait())


def read_blocking(reader: Reader[Subscription[Published]], messages: int) -> None:
    for _ in range(messages):
        reader.got(reader.subscription.receive_blocking())


def check_law(ledger: Ledger, published: int) -> None:
    topic = ledger.topic
    assert isinstance(topic, Topic)
    assert topic.published == published  # before readers look, who would link what was left
    for reader in ledger.readers:
        read_ready(reader)
    ledger.check()


def start() -> tuple[Topic[Published], Ledger]:
    topic = Topic[Published]("topic")
    return topic, Ledger(topic)


def publish_and_publish() -> Meeting:
    topic, ledger = start()
    ledger.reader("early", topic.subscribe)
    return Meeting(
        [partial(ledger.publish, "p"), partial(ledger.publish, "q")],
        partial(check_law, ledger, 2),
    )


def publish_and_subscribe() -> Meeting:
    topic, ledger = start()

    def publish() -> None:
        ledger.publish("p")
        ledger.publish("p")

    return Meeting(
        [publish, lambda: ledger.reader("late", topic.subscribe)],
        partial(check_law, ledger, 2),
    )


def publish_and_receive_nowait() -> Meeting:
    topic, ledger = start()
    reader = ledger.reader("quick", topic.subscribe)
    return Meeting(
        [partial(ledger.publish, "p"), partial(read_ready, reader)],
        partial(check_law, ledger, 1),
    )


def publish_and_receive_blocking() -> Meeting:
    topic, ledger = start()
    reader = ledger.reader("patient", topic.subscribe)
    return Meeting(
        [partial(ledger.publish, "p"), partial(read_blocking, reader, 1)],
        partial(check_law, ledger, 1),
    )


def publish_and_close() -> Meeting:
    topic, ledger = start()
    ledger.reader("early", topic.subscribe)

    def publish() -> None:
        with suppress(anyio.ClosedResourceError):
            ledger.publish("p")

    def check() -> None:
        check_law(ledger, len(ledger.accepted))
        with pytest.raises(anyio.EndOfStream):
            ledger.readers[0].subscription.receive_nowait()

    return Meeting([publish, topic.close], check)


def close_and_close() -> Meeting:
    topic, ledger = start()
    reader = topic.subscribe()
    errors = [ValueError("first"), ValueError("second")]

    def check() -> None:
        check_law(ledger, 0)
        with pytest.raises(anyio.BrokenResourceError) as broken:
            reader.receive_nowait()
        assert broken.value.__cause__ in errors

    return Meeting([partial(topic.close, error) for error in errors], check)


def subscribe_and_close() -> Meeting:
    topic, _ = start()
    topic.publish(("p", 0))
    late: list[Subscription[Published]] = []

    def check() -> None:
        with pytest.raises(anyio.EndOfStream):
            late[0].receive_nowait()
        assert late[0].lag == 0

    return Meeting([lambda: late.append(topic.subscribe()), topic.close], check)


@pytest.mark.parametrize(
    "make",
    [
        publish_and_publish,
        publish_and_receive_nowait,
        publish_and_close,
        close_and_close,
        subscribe_and_close,
    ],
)
def test_p1_p3_b2_b3_e4_any_two_threads_keep_the_law(make: Callable[[], Meeting]) -> None:
    explore_all(make)


def test_b3_a_thread_that_is_about_to_wait_misses_no_message() -> None:
    explore_some(publish_and_receive_blocking, most=500)


def test_p2_who_subscribes_while_another_publishes_gets_what_comes_after() -> None:
    explore_some(publish_and_subscribe)


def look(reader: Reader[Subscription[Published]], lags: list[int]) -> None:
    lags.append(reader.subscription.lag)
    lags.append(reader.subscription.statistics().lag)


def publish_read_and_look() -> Meeting:
    topic, ledger = start()
    reader = ledger.reader("watched", topic.subscribe)
    lags: list[int] = []

    def read_and_look() -> None:
        read_ready(reader)
        look(reader, lags)

    def check() -> None:
        check_law(ledger, 1)
        assert set(lags) <= {0, 1}

    return Meeting([partial(ledger.publish, "p"), read_and_look], check)


def publish_and_read_while_another_looks() -> Meeting:
    topic, ledger = start()
    reader = ledger.reader("watched", topic.subscribe)
    lags: list[int] = []

    def publish_and_read() -> None:
        ledger.publish("p")
        read_ready(reader)

    def check() -> None:
        check_law(ledger, 1)
        assert set(lags) <= {0, 1}

    return Meeting([publish_and_read, partial(look, reader, lags)], check)


@pytest.mark.parametrize("make", [publish_read_and_look, publish_and_read_while_another_looks])
def test_p11_d10_k3_lag_is_never_negative_and_never_more_than_is_published(
    make: Callable[[], Meeting],
) -> None:
    explore_some(make)


def test_p11_lag_in_seconds_and_bytes_is_never_negative_and_never_invented() -> None:
    def make() -> Meeting:
        topic = Topic[bytes]("topic", sizeof=len)
        reader = topic.subscribe()
        seen: list[tuple[float, int | None]] = []

        def publish_and_read() -> None:
            topic.publish(b"12345")
            reader.receive_nowait()

        def check() -> None:
            assert all(seconds >= 0 and size in {0, 5} for seconds, size in seen)
            assert reader.lag_bytes == 0

        return Meeting(
            [publish_and_read, lambda: seen.append((reader.lag_seconds, reader.lag_bytes))], check
        )

    explore_some(make)


def test_p10_a_thread_that_waits_is_told_when_another_closes_its_subscription() -> None:
    def make() -> Meeting:
        topic, _ = start()
        subscription = topic.subscribe()

        def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                subscription.receive_blocking()

        return Meeting([wait, subscription.close], lambda: None)

    explore_some(make)


def test_p10_a_thread_that_waits_is_told_when_another_closes_the_topic() -> None:
    def make() -> Meeting:
        topic, _ = start()
        subscription = topic.subscribe()

        def wait() -> None:
            with pytest.raises(anyio.EndOfStream):
                subscription.receive_blocking()

        return Meeting([wait, topic.close], lambda: None)

    explore_some(make)


def receive_the_next(subscription: Subscription[int]) -> int:
    """Take a message that is ready as `async for` does, but without an event loop."""
    steps: Any = subscription.__anext__()
    try:
        next(steps)
    except StopIteration as end:
        value: int = end.value
        return value
    except RuntimeError as error:  # it finds nothing to take, and no loop on which to wait
        raise anyio.ClosedResourceError from error
    raise AssertionError("it waits, although a message is ready")


WAYS_TO_READ: dict[str, Callable[[Subscription[int]], object]] = {
    "receive": receive_the_next,
    "receive_nowait": Subscription.receive_nowait,
    "receive_blocking": Subscription.receive_blocking,
    "batches": lambda subscription: next(subscription.batches()),
    "latest": lambda subscription: next(subscription.latest()),
    "latest_by": lambda subscription: next(subscription.latest_by(lambda value: value)),
    "messages": lambda subscription: next(subscription.messages()),
    "skip": lambda subscription: subscription.skip(1),
    "skip_to_latest": Subscription.skip_to_latest,
    "fork": lambda subscription: subscription.fork().receive_nowait(),
}


def test_n2_a_thread_that_is_about_to_wait_for_room_is_told_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(senders, "_PAUSE", 1e6)  # so that it does not look by itself

    def make() -> Meeting:
        topic = Topic[int]("topic", limit=1)
        subscription = topic.subscribe()
        topic.publish(1)

        def check() -> None:
            assert subscription.receive_nowait() == 2

        return Meeting([lambda: topic.send_blocking(2), subscription.receive_nowait], check)

    explore_some(make)


@pytest.mark.parametrize("read", WAYS_TO_READ.values(), ids=WAYS_TO_READ)
def test_p6_a_subscription_closed_by_another_thread_gives_a_message_or_says_so(
    read: Callable[[Subscription[int]], object],
) -> None:
    def make() -> Meeting:
        topic = Topic[int]("topic")
        subscription = topic.subscribe()
        topic.publish_many(range(4))
        subscription.receive_nowait()  # so that the next is not a checkpoint

        def read_once() -> None:
            with suppress(anyio.ClosedResourceError):
                read(subscription)

        def check() -> None:
            assert subscription.closed
            assert subscription.lag == 0
            for way in (receive_the_next, Subscription.receive_nowait):
                with pytest.raises(anyio.ClosedResourceError):
                    way(subscription)

        return Meeting([read_once, subscription.close], check)

    explore_some(make)


@pytest.mark.parametrize("way", ["receive_nowait", "batches", "latest", "skip", "fork"])
def test_p1_p8_d3_a_cut_by_another_thread_makes_nothing_lost_untold_or_double(way: str) -> None:
    def make() -> Meeting:
        topic = Topic[int]("topic", limit=2)
        subscription = topic.subscribe(on_lag="skip")
        topic.publish_many(range(3))
        subscription.receive_nowait()  # so that the next is not a checkpoint

        def read_once() -> None:
            WAYS_TO_READ[way](subscription)

        def publish() -> None:
            topic.publish(3)
            topic.publish(4)

        def check() -> None:
            numbers = [subscription.position.seq]
            for message in subscription.messages():
                assert message.seq == message.value + 1
                numbers.append(message.seq)
            assert numbers == sorted(set(numbers))
            assert numbers[-1] == 5
            told = subscription.received + subscription.missed + subscription.skipped
            assert told == subscription.position.seq == 5
            assert subscription.missed <= 2  # what is kept is at least the limit

        def publish_and_close() -> None:
            publish()
            topic.close()

        return Meeting([read_once, publish_and_close], check)

    # All schedules of all ways, which are some thousand, take as long as half of this file.
    most = 20_000 if way == "batches" else 500
    interleavings.explore(make, within=[driftline], bound=1, most=most)


def test_l1_a_limit_that_another_thread_lowers_is_exact() -> None:
    def make() -> Meeting:
        topic = Topic[int]("topic", limit=20)
        subscription = topic.subscribe(on_lag="skip")
        for value in range(6):
            topic.publish(value)

        def lower() -> None:
            topic.limit = 2

        def check() -> None:
            topic.publish(7)
            invariants.check(topic)
            topic.close()
            values = list(subscription)
            assert values == list(range(8 - len(values), 8))
            assert subscription.missed == 8 - len(values) >= 4

        return Meeting([lower, lambda: topic.publish(6)], check)

    explore_all(make, bound=1)


def test_p1_who_comes_back_while_its_place_is_cut_off_is_where_it_was_or_told() -> None:
    """Of the places that are being cut off, one may be left from which the way is cut already."""

    def make() -> Meeting:
        topic = Topic[int]("topic", limit=8)
        readers = [topic.subscribe() for _ in range(3)]
        topic.publish_many(range(2))
        topic.limit = 1
        positions = []
        for ahead, reader in zip((2, 1, 0), readers, strict=True):
            reader.skip(ahead)
            positions.append(reader.park(PARKED))
        found: list[Subscription[int]] = []

        def come_back() -> None:
            with suppress(PositionLost):
                found.append(topic.subscribe(since=positions[0]))

        def check() -> None:
            assert all(subscription.position == positions[0] for subscription in found)

        return Meeting([partial(topic.publish_many, range(2)), come_back], check)

    explore_all(make, bound=1)


class HastyLock(interleavings.Lock):
    """A lock for which nobody has time to wait."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return super().acquire(blocking=False)


def test_a2_a_wait_that_times_out_while_another_publishes_consumes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(on_threads, "Lock", HastyLock)
    ended = set()

    def make() -> Meeting:
        clock = count()
        for module in (subscription_module, checks, on_threads):
            monkeypatch.setattr(module, "monotonic", lambda: next(clock), raising=False)
        topic, ledger = start()
        reader = ledger.reader("hasty", topic.subscribe)

        def wait() -> None:
            try:
                reader.got(reader.subscription.receive_blocking(timeout=1.5))
            except TimeoutError:
                ended.add("in vain")
            else:
                ended.add("with a message")

        return Meeting([partial(ledger.publish, "p"), wait], partial(check_law, ledger, 1))

    explore_some(make)
    assert ended == {"in vain", "with a message"}


# Three threads.


def test_p5_a_call_reaches_all_threads_that_wait_whoever_gets_it() -> None:
    """J1, J2: the first in the parking is called, and may be one that has just found a message."""

    def make() -> Meeting:
        topic, ledger = start()
        readers = [ledger.reader(name, topic.subscribe) for name in "ab"]
        return Meeting(
            [
                *(partial(read_blocking, reader, 1) for reader in readers),
                partial(ledger.publish, "p"),
            ],
            partial(check_law, ledger, 1),
        )

    explore_some(make, most=200)


def test_a2_one_that_times_out_while_it_is_called_passes_the_call_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make() -> Meeting:
        clock = count()
        for module in (subscription_module, checks, on_threads):
            monkeypatch.setattr(module, "monotonic", lambda: next(clock), raising=False)
        topic, ledger = start()
        hasty = ledger.reader("hasty", topic.subscribe)
        patient = ledger.reader("patient", topic.subscribe)
        with monkeypatch.context() as patch:
            patch.setattr(on_threads, "Lock", HastyLock)
            hasty.subscription._waiter = topic._waiting.thread(hasty.subscription._waiter)
        room = hasty.subscription._waiter.parking

        def wait_in_vain() -> None:
            with suppress(TimeoutError):
                hasty.got(hasty.subscription.receive_blocking(timeout=1.5))

        def check() -> None:
            check_law(ledger, 1)
            assert not room.parked

        return Meeting(
            [wait_in_vain, partial(read_blocking, patient, 1), partial(ledger.publish, "p")], check
        )

    explore_some(make, most=200)


def test_e4_k5_two_publishers_and_one_who_closes_keep_the_law() -> None:
    def make() -> Meeting:
        topic, ledger = start()
        ledger.reader("early", topic.subscribe)

        def publish(name: str) -> None:
            with suppress(anyio.ClosedResourceError):
                ledger.publish(name)

        return Meeting(
            [partial(publish, "p"), partial(publish, "q"), topic.close],
            lambda: check_law(ledger, len(ledger.accepted)),
        )

    explore_some(make, most=200)


def test_p3_three_publishers_keep_the_law() -> None:
    def make() -> Meeting:
        topic, ledger = start()
        for name in "ab":
            ledger.reader(name, topic.subscribe)
        return Meeting(
            [partial(ledger.publish, name) for name in "pqr"], partial(check_law, ledger, 3)
        )

    explore_some(make, most=200)


# A thread and an event loop.


class Ears:
    """A selector for a loop that is to be woken by a bell, and by nothing else."""

    def __init__(self) -> None:
        self.bell = interleavings.Lock()
        self.bell.acquire()

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            self.bell.acquire()
        return []

    def close(self) -> None:
        pass


class BellLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, but that the explorer sees it sleep."""

    def __init__(self) -> None:
        self.ears = Ears()
        super().__init__(self.ears)  # type: ignore[arg-type]

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        with suppress(RuntimeError):  # it rings already
            self.ears.bell.release()


def on_a_loop(coroutine: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """Return a function that runs a coroutine on a loop of its own, and leaves nothing behind."""

    def run() -> None:
        loop = BellLoop()
        try:

            async def main() -> None:
                await coroutine()

            loop.run_until_complete(main())
        finally:
            loop.close()

    return run


def test_b1_b3_a_task_that_is_about_to_wait_misses_no_message_from_a_thread() -> None:
    def make() -> Meeting:
        topic, ledger = start()
        reader = ledger.reader("task", topic.subscribe)

        async def read() -> None:
            reader.got(await reader.subscription.receive())

        return Meeting(
            [on_a_loop(read), partial(ledger.publish, "p")], partial(check_law, ledger, 1)
        )

    explore_some(make)


def test_j1_a_task_that_waits_again_while_others_are_woken_misses_no_message() -> None:
    def make() -> Meeting:
        topic, ledger = start()
        first = ledger.reader("first", topic.subscribe)
        gate = interleavings.Lock()
        gate.acquire()

        async def read_first() -> None:
            first.got(await first.subscription.receive())

        async def read_two() -> None:
            reading = asyncio.ensure_future(read_first())
            await asyncio.sleep(0)  # now it waits
            ledger.publish("here")
            late = ledger.reader("late", topic.subscribe)
            gate.release()
            late.got(await late.subscription.receive())  # waits before the loop is called
            await reading

        def publish() -> None:
            gate.acquire()
            ledger.publish("there")

        return Meeting([on_a_loop(read_two), publish], partial(check_law, ledger, 2))

    explore_some(make)


def test_a5_cancelled_while_a_thread_publishes_it_has_the_message_or_has_it_next() -> None:
    ended = set()

    def make() -> Meeting:
        topic, ledger = start()
        reader = ledger.reader("cancelled", topic.subscribe)

        async def read() -> None:
            reader.got(await reader.subscription.receive())

        async def cancel() -> None:
            task = asyncio.ensure_future(read())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            ended.add(task.cancelled())
            await asyncio.ensure_future(wait_for_it())

        async def wait_for_it() -> None:
            if not reader.values:
                await read()

        return Meeting(
            [on_a_loop(cancel), partial(ledger.publish, "p")], partial(check_law, ledger, 1)
        )

    explore_some(make)
    assert True in ended


def test_p10_a_task_that_waits_is_told_when_a_thread_closes_its_subscription() -> None:
    def make() -> Meeting:
        topic, _ = start()
        subscription = topic.subscribe()

        async def wait() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await subscription.receive()

        return Meeting([on_a_loop(wait), subscription.close], lambda: None)

    explore_some(make)


# Tasks.

Explore = Callable[[Callable[[], Any], Any], int]
ON_ASYNCIO_AND_TRIO = pytest.mark.parametrize(
    "explore", [shuffled.explore, seeded_trio.explore], ids=["asyncio", "trio"]
)
STEPS = range(12)


async def pause(steps: int) -> None:
    for _ in range(steps):
        await checkpoint()


async def read_all(reader: Reader[Subscription[Published]]) -> None:
    async for value in reader.subscription:
        reader.got(value)


async def publish_three(ledger: Ledger, topic: Topic[Published]) -> None:
    for _ in range(3):
        ledger.publish("p")
        await checkpoint()
    topic.close()


async def one_of_three_is_cancelled(step: int) -> None:
    topic, ledger = start()
    readers = [ledger.reader(name, topic.subscribe) for name in ("cancelled", "b", "c")]
    async with anyio.create_task_group() as others, anyio.create_task_group() as mine:
        for reader in readers[1:]:
            others.start_soon(read_all, reader)
        mine.start_soon(read_all, readers[0])
        others.start_soon(publish_three, ledger, topic)
        await pause(step)
        mine.cancel_scope.cancel()
    with anyio.fail_after(1):
        await read_all(readers[0])  # the same cursor goes on where it was
    ledger.check()


@ON_ASYNCIO_AND_TRIO
def test_a1_a3_a4_a_reader_cancelled_at_any_step_loses_nothing_and_others_neither(
    explore: Explore,
) -> None:
    for step in STEPS:
        explore(partial(one_of_three_is_cancelled, step), range(40))


async def one_of_two_times_out(step: int) -> None:
    topic, ledger = start()
    hasty, patient = (ledger.reader(name, topic.subscribe) for name in ("hasty", "patient"))

    async def read_hastily() -> None:
        with suppress(anyio.EndOfStream):
            while True:
                with anyio.move_on_after(1):
                    hasty.got(await hasty.subscription.receive())

    async def publish_slowly() -> None:
        for _ in range(3):
            await anyio.sleep(1)  # just when the other gives up
            await pause(step)
            ledger.publish("p")
        topic.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_all, patient)
        tasks.start_soon(read_hastily)
        tasks.start_soon(publish_slowly)
    ledger.check()


@ON_ASYNCIO_AND_TRIO
def test_a2_a_reader_that_times_out_just_when_a_message_comes_loses_nothing(
    explore: Explore,
) -> None:
    for step in range(5):
        explore(partial(one_of_two_times_out, step), range(40))


class Manners:
    """A reader that reads in every way there is, in an order drawn by lot."""

    def __init__(self, lots: Random, topic: Topic[Published]) -> None:
        self.lots = lots
        self.topic = topic
        self.ends: list[tuple[Subscription[Published], int, list[tuple[int, Published]]]] = []

    async def read(self, subscription: Subscription[Published], may_fork: bool = True) -> None:
        got: list[tuple[int, Published]] = []
        self.ends.append((subscription, subscription.position.seq, got))
        async with anyio.create_task_group() as forks:
            with suppress(anyio.EndOfStream):
                while True:
                    way = self.lots.choice(["one", "batch", "latest", "skip", "late", "cancelled"])
                    if may_fork and self.lots.random() < 0.2:
                        forks.start_soon(self.read, subscription.fork(), False)
                    await self._read_once(way, subscription, got)

    async def _read_once(
        self, way: str, subscription: Subscription[Published], got: list[tuple[int, Published]]
    ) -> None:
        if way == "one":
            got += [(subscription.position.seq, await subscription.receive())]
            assert got[-1][0] + 1 == subscription.position.seq
        elif way == "batch":
            async for batch in subscription.batches(max_size=2):
                got += zip(count(subscription.position.seq - len(batch)), batch, strict=False)
                return
            raise anyio.EndOfStream
        elif way == "latest":
            async for value in subscription.latest():
                got += [(subscription.position.seq - 1, value)]
                return
            raise anyio.EndOfStream
        elif way == "skip":
            subscription.skip(1)
            await checkpoint()
        else:
            with anyio.CancelScope() as scope:
                if way == "late":
                    scope.deadline = anyio.current_time() + 1
                else:
                    scope.cancel()
                async for message in subscription.messages():
                    got += [(message.seq - 1, message.value)]
                    return
                raise anyio.EndOfStream

    def check(self, order: list[Published]) -> None:
        for subscription, begin, got in self.ends:
            moved = subscription.position.seq - begin
            assert len(got) == subscription.received
            assert moved == subscription.received + subscription.skipped == len(order) - begin
            assert all(order[seq] == value for seq, value in got)
            assert [seq for seq, _ in got] == sorted({seq for seq, _ in got})


async def anything_goes(plan: int) -> None:
    lots = Random(plan)
    topic, ledger = start()
    witness = ledger.reader("witness", topic.subscribe)
    readers = Manners(lots, topic)

    async def publish(name: str) -> None:
        for _ in range(4):
            ledger.publish(name)
            if lots.random() < 0.3:
                await anyio.sleep(1)
            else:
                await pause(lots.randrange(3))

    async with anyio.create_task_group() as reading:
        reading.start_soon(read_all, witness)
        for _ in range(3):
            reading.start_soon(readers.read, topic.subscribe())
        async with anyio.create_task_group() as publishing:
            publishing.start_soon(publish, "p")
            publishing.start_soon(publish, "q")
        topic.close()
    ledger.check()
    readers.check(witness.values)


@ON_ASYNCIO_AND_TRIO
def test_p1_p3_p6_every_mix_of_reading_cancelling_and_forking_is_exact(explore: Explore) -> None:
    for plan in range(40):
        explore(partial(anything_goes, plan), range(8))


async def close_comes_at_any_step(step: int) -> None:
    topic, ledger = start()
    readers = [ledger.reader(name, topic.subscribe) for name in ("closed", "b")]
    readers[0].leave()

    async def read_until_closed() -> None:
        with suppress(anyio.ClosedResourceError):
            await read_all(readers[0])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_until_closed)
        tasks.start_soon(read_all, readers[1])
        tasks.start_soon(publish_three, ledger, topic)
        await pause(step)
        readers[0].subscription.close()
    ledger.check()


@ON_ASYNCIO_AND_TRIO
def test_p6_a6_a_subscription_closed_at_any_step_disturbs_nobody(explore: Explore) -> None:
    for step in STEPS:
        explore(partial(close_comes_at_any_step, step), range(40))
