"""Proof that the means of proof can fail.

Each defect here is planted or inherited from the documented list. Tests are named after the fault
that they show.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from _thread import allocate_lock
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio

from proof import (
    FailedSchedule,
    documented_list,
    interleavings,
    interruptions,
    seeded_trio,
    shuffled,
)
from proof.documented_list import DocumentedList, InboxList, LockedList, PlainFuture
from proof.law import LawBroken, Ledger, Published, Reader

pytestmark = pytest.mark.once

HERE = [sys.modules[__name__], documented_list]


# The checker of the law.


class Accepting:
    """A topic that accepts everything and delivers nothing: the tests say what readers got."""

    def publish(self, value: Published) -> None:
        pass


class Refusing:
    """A topic that raises."""

    def publish(self, value: Published) -> None:
        raise RuntimeError("no")


@dataclass
class Counting:
    """A subscription with counters, right or wrong."""

    position: int = 0
    received: int = 0
    skipped: int = 0
    missed: int = 0


def published(*publishers: str, readers: str = "a") -> tuple[Ledger, list[Reader[None]]]:
    ledger = Ledger(Accepting())
    found = [ledger.reader(name, lambda: None) for name in readers]
    for publisher in publishers:
        ledger.publish(publisher)
    return ledger, found


def test_law_accepts_a_right_history() -> None:
    ledger, readers = published("p", "q", "p", readers="ab")
    for reader in readers:
        for value in [("p", 0), ("q", 0), ("p", 1)]:
            reader.got(value)
    ledger.check()


def test_law_finds_a_lost_message() -> None:
    ledger, [reader] = published("p", "p", "p")
    reader.got(("p", 0))
    reader.got(("p", 2))
    with pytest.raises(LawBroken, match=r"'a' never got 1 of 3 messages .* subscribed: p:1$"):
        ledger.check()


def test_law_finds_a_duplicate() -> None:
    ledger, [reader] = published("p")
    reader.got(("p", 0))
    reader.got(("p", 0))
    with pytest.raises(LawBroken, match="'a' got p:0 more than once"):
        ledger.check()


def test_law_finds_two_orders() -> None:
    ledger, [a, b] = published("p", "q", readers="ab")
    for value in [("p", 0), ("q", 0)]:
        a.got(value)
    for value in [("q", 0), ("p", 0)]:
        b.got(value)
    with pytest.raises(LawBroken, match=r"no one order fits all readers: .* got p:0 before q:0"):
        ledger.check()


def test_law_finds_two_orders_that_no_pair_of_readers_shows() -> None:
    ledger, readers = published("p", "q", "r", readers="abc")
    for reader, (earlier, later) in zip(readers, [("p", "q"), ("q", "r"), ("r", "p")], strict=True):
        reader.got((earlier, 0))
        reader.got((later, 0))
    with pytest.raises(LawBroken, match="no one order fits all readers"):
        ledger.check()


def test_law_finds_a_publisher_out_of_order() -> None:
    ledger, [reader] = published("p", "p")
    reader.got(("p", 1))
    reader.got(("p", 0))
    with pytest.raises(LawBroken, match="'a' got p:1 before p:0"):
        ledger.check()


def test_law_finds_an_invented_message() -> None:
    ledger, [reader] = published()
    reader.got(("p", 0))
    with pytest.raises(LawBroken, match="'a' got p:0, which nobody published"):
        ledger.check()


def test_law_finds_a_refused_message() -> None:
    ledger = Ledger(Refusing())
    reader = ledger.reader("a", lambda: None)
    with pytest.raises(RuntimeError, match="no"):
        ledger.publish("p")
    reader.got(("p", 0))
    with pytest.raises(LawBroken, match=r"'a' got p:0, although publish\(\) raised"):
        ledger.check()


def test_law_finds_a_message_from_before() -> None:
    ledger, _ = published("p", readers="")
    ledger.reader("late", lambda: None).got(("p", 0))
    with pytest.raises(LawBroken, match="'late' got p:0, published before it subscribed"):
        ledger.check()


def test_law_admits_a_message_from_before_that_somebody_who_reads_may_link() -> None:
    ledger, _ = published("p", readers="")
    with ledger.reading():
        ledger.reader("late", lambda: None).got(("p", 0))
    ledger.check()


def test_law_lets_a_reader_leave_early_but_not_with_holes() -> None:
    ledger, [reader] = published("p", "p", "p")
    reader.leave()
    reader.got(("p", 0))
    ledger.check()
    reader.got(("p", 2))
    with pytest.raises(LawBroken, match="never got 1 of 2"):
        ledger.check()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (Counting(position=3, received=2, missed=1), None),
        (Counting(position=3, received=2, skipped=1), None),
        (Counting(position=2, received=2), "never got 1 of 3"),
        (Counting(position=3, received=3), "received 2 messages, but counts 3"),
        (Counting(position=4, received=2, missed=1), "moved by 4 messages, but received 2 and was"),
        (Counting(position=3, received=2), "moved by 3 messages, but received 2 and was told of 0"),
    ],
)
def test_law_compares_counters_with_the_truth(said: Counting, complaint: str | None) -> None:
    ledger = Ledger(Accepting())
    subscription = Counting()
    reader = ledger.reader("a", lambda: subscription)
    for _ in range(3):
        ledger.publish("p")
    reader.got(("p", 0), seq=1)
    reader.got(("p", 2), seq=3)
    vars(subscription).update(vars(said))
    if complaint is None:
        ledger.check()
    else:
        with pytest.raises(LawBroken, match=complaint):
            ledger.check()


def test_law_finds_sequence_numbers_that_disagree() -> None:
    ledger, [a, b] = published("p", "q", readers="ab")
    for reader in (a, b):
        reader.leave()
    a.got(("p", 0), seq=1)
    b.got(("q", 0), seq=1)
    with pytest.raises(LawBroken, match="'a' and 'b' disagree on message 1: p:0 or q:0"):
        ledger.check()


# Tasks, against the documented list.

Stream = AsyncIterator[Published]


async def read(reader: Reader[Stream], until: int) -> None:
    async for value in reader.subscription:
        reader.got(value)
        if value[1] == until:
            break


async def start(*coroutines: Coroutine[Any, Any, object]) -> list[asyncio.Task[object]]:
    """Start tasks, and return when all of them wait. Time is virtual, so this takes none."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(1)
    return tasks


async def publish_some(ledger: Ledger, messages: int) -> None:
    for _ in range(messages):
        ledger.publish("p")
        await asyncio.sleep(0)


async def everybody_reads_everything() -> None:
    topic = DocumentedList()
    ledger = Ledger(topic)
    readers = [ledger.reader(name, topic.subscribe) for name in "abc"]
    tasks = await start(*(read(reader, until=2) for reader in readers))
    await publish_some(ledger, 3)
    await asyncio.wait(tasks)
    ledger.check()


async def one_of_three_is_cancelled() -> None:
    topic = DocumentedList()
    ledger = Ledger(topic)
    readers = [ledger.reader(name, topic.subscribe) for name in "abc"]
    readers[0].leave()
    tasks = await start(*(read(reader, until=2) for reader in readers))
    publishing = asyncio.create_task(publish_some(ledger, 3))
    await asyncio.sleep(0)
    tasks[0].cancel()
    await publishing
    await asyncio.wait(tasks)
    ledger.check()


async def messages_come_before_the_first_await() -> None:
    topic = DocumentedList()
    ledger = Ledger(topic)
    reader = ledger.reader("a", topic.subscribe)
    await publish_some(ledger, 2)
    (task,) = await start(read(reader, until=1))
    task.cancel()
    ledger.check()


async def one_of_two_times_out() -> None:
    topic = DocumentedList()
    ledger = Ledger(topic)
    hasty, patient = (ledger.reader(name, topic.subscribe) for name in ("hasty", "patient"))
    hasty.leave()

    async def read_with_a_timeout() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(read(hasty, until=0), 5)

    timed_out, waiting = await start(read_with_a_timeout(), read(patient, until=0))
    await timed_out
    await asyncio.sleep(1)
    assert not waiting.done(), "'patient' ended when 'hasty' timed out"
    ledger.publish("p")
    await waiting
    ledger.check()


async def a_slow_reader_meets_the_cancellation_of_another() -> None:
    topic = DocumentedList()
    ledger = Ledger(topic)
    quick, slow = (ledger.reader(name, topic.subscribe) for name in ("quick", "slow"))
    quick.leave()
    cancelled, first = await start(read(quick, until=9), read(slow, until=0))
    await publish_some(ledger, 3)
    await first
    cancelled.cancel()
    (rest,) = await start(read(slow, until=3))
    assert not rest.cancelled(), f"'slow' was cancelled by nobody, after {slow.values}"
    ledger.publish("p")
    await rest
    ledger.check()


def test_shuffled_loop_accepts_what_is_right() -> None:
    assert shuffled.explore(everybody_reads_everything, seeds=range(200)) == 200


def test_shuffled_loop_tries_every_order() -> None:
    orders = set()

    async def three_tasks() -> None:
        order: list[int] = []

        async def run(number: int) -> None:
            order.append(number)

        await start(*(run(number) for number in range(3)))
        orders.add(tuple(order))

    shuffled.explore(three_tasks, seeds=range(200))
    assert len(orders) == 6


def test_shuffled_loop_finds_a_deadlock() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(FailedSchedule, match="every task waits for another"):
        shuffled.explore(wait_for_ever)


def test_a1_b2_one_cancellation_reaches_other_readers() -> None:
    with pytest.raises(FailedSchedule, match=r"'[bc]' never got|InvalidStateError") as found:
        shuffled.explore(one_of_three_is_cancelled)
    seed = found.value.replay
    assert isinstance(seed, int)
    for _ in range(3):
        with pytest.raises(FailedSchedule) as again:
            shuffled.explore(one_of_three_is_cancelled, seeds=[seed])
        assert str(again.value) == str(found.value)


def test_b1_messages_before_the_first_await_are_lost() -> None:
    with pytest.raises(FailedSchedule, match="'a' never got 2 of 2 messages"):
        shuffled.explore(messages_come_before_the_first_await)


def test_b2b_one_timeout_reaches_the_other_reader() -> None:
    with pytest.raises(FailedSchedule, match="'patient' ended when 'hasty' timed out"):
        shuffled.explore(one_of_two_times_out)


def test_b2c_a_slow_reader_meets_a_cancellation_nobody_sent_it() -> None:
    with pytest.raises(FailedSchedule, match="'slow' was cancelled by nobody"):
        shuffled.explore(a_slow_reader_meets_the_cancellation_of_another)


def test_b3_b4_a_thread_without_a_loop_cannot_publish() -> None:
    raised: list[BaseException] = []

    async def publish_from_a_thread() -> None:
        topic = DocumentedList()

        def publish() -> None:
            try:
                topic.publish("from a thread")
            except RuntimeError as error:
                raised.append(error)

        await asyncio.to_thread(publish)

    asyncio.run(publish_from_a_thread())
    assert "no current event loop" in str(raised) or "no running event loop" in str(raised)


# Tasks, on trio.


async def the_second_counts_on_the_first() -> None:
    ready: list[str] = []

    async def first() -> None:
        ready.append("first")

    async def second() -> None:
        assert ready, "the second ran before the first"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        nursery.start_soon(second)


async def a_wakeup_is_lost() -> None:
    parked = trio.lowlevel.ParkingLot()

    async def wake() -> None:
        parked.unpark_all()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(parked.park)
        nursery.start_soon(wake)


@pytest.mark.parametrize(
    ("scenario", "what"),
    [
        (the_second_counts_on_the_first, "the second ran before the first"),
        (a_wakeup_is_lost, "TooSlowError"),
    ],
)
def test_seeded_trio_finds_and_replays(
    scenario: Callable[[], Coroutine[Any, Any, None]], what: str
) -> None:
    with pytest.raises(FailedSchedule) as found:
        seeded_trio.explore(scenario)
    seed = found.value.replay
    assert isinstance(seed, int)
    for _ in range(3):
        with pytest.raises(FailedSchedule) as again:
            seeded_trio.explore(scenario, seeds=[seed])
        assert str(again.value) == str(found.value)
    causes = [again.value.__cause__]
    for cause in causes:
        if isinstance(cause, BaseExceptionGroup):
            causes.extend(cause.exceptions)
    assert what in repr(causes)


def test_seeded_trio_finds_seeds_that_pass() -> None:
    failed = 0
    for seed in range(40):
        try:
            seeded_trio.explore(the_second_counts_on_the_first, seeds=[seed])
        except FailedSchedule:
            failed += 1
    assert 0 < failed < 40


# Threads.


@dataclass
class Threads:
    """A scenario out of functions."""

    threads: Sequence[Callable[[], object]]
    check: Callable[[], None] = field(default=lambda: None)


def two_writers(orders: set[str]) -> Threads:
    written: list[str] = []

    def write(*letters: str) -> None:
        for letter in letters:
            written.append(letter)  # noqa: PERF402

    return Threads(
        [lambda: write("a", "b"), lambda: write("x", "y")], lambda: orders.add("".join(written))
    )


@pytest.mark.parametrize(
    ("bound", "orders"),
    [
        (0, {"abxy", "xyab"}),
        (1, {"abxy", "xyab", "axyb", "xaby"}),
        (2, {"abxy", "xyab", "axyb", "xaby", "axby", "xayb"}),
    ],
)
def test_explorer_tries_every_order_within_the_bound(bound: int, orders: set[str]) -> None:
    seen: set[str] = set()
    explored = interleavings.explore(lambda: two_writers(seen), within=HERE, bound=bound)
    assert explored.complete
    assert seen == orders


def test_explorer_stops_when_told_and_says_so() -> None:
    explored = interleavings.explore(lambda: two_writers(set()), within=HERE, most=10)
    assert explored == (10, False)


def test_explorer_draws_schedules_beyond_the_bound() -> None:
    seen: set[str] = set()
    interleavings.explore(lambda: two_writers(seen), within=HERE, bound=0, at_random=60)
    assert len(seen) == 6


def publish_with_two_threads(topic: LockedList) -> Threads:
    ledger = Ledger(topic)
    reader = ledger.reader("a", lambda: None)

    def check() -> None:
        for value in topic.values():
            reader.got(value)
        ledger.check()

    return Threads([lambda: ledger.publish("p"), lambda: ledger.publish("q")], check)


def documented_list_with_two_threads() -> Threads:
    topic = DocumentedList(PlainFuture)
    head = topic.waiter
    ledger = Ledger(topic)
    reader = ledger.reader("a", lambda: None)

    def publish_two(publisher: str) -> None:
        for _ in range(2):
            with suppress(asyncio.InvalidStateError):
                ledger.publish(publisher)

    def check() -> None:
        for value in head.values():
            reader.got(value)
        ledger.check()

    return Threads([lambda: publish_two("p"), lambda: publish_two("q")], check)


def test_b3b_two_threads_sever_the_documented_list() -> None:
    with pytest.raises(FailedSchedule, match="'a' never got") as found:
        interleavings.explore(documented_list_with_two_threads, within=HERE)
    assert "documented_list.py" in str(found.value)
    replay: Any = found.value.replay
    with pytest.raises(FailedSchedule) as again:
        interleavings.explore(documented_list_with_two_threads, within=HERE, replay=replay)
    assert str(again.value) == str(found.value)


@pytest.mark.parametrize("lock", ["Lock", "RLock"])
def test_b2_a_lock_is_enough_between_threads(lock: str) -> None:
    explored = interleavings.explore(
        lambda: publish_with_two_threads(LockedList(getattr(threading, lock)())), within=HERE
    )
    assert explored.complete


def test_b2_the_inbox_is_enough_between_threads() -> None:
    explored = interleavings.explore(lambda: publish_with_two_threads(InboxList()), within=HERE)
    assert explored.complete


class ForgetfulInbox(InboxList):
    """Does not look again after letting go of the lock."""

    def publish(self, value: object) -> None:
        self.inbox.append(value)
        if self.linking.acquire(blocking=False):
            try:
                while self.inbox:
                    LockedList.publish(self, self.inbox.popleft())
            finally:
                self.linking.release()


def test_b2_an_inbox_that_is_not_looked_at_again_keeps_a_message() -> None:
    with pytest.raises(FailedSchedule, match="'a' never got 1 of 2"):
        interleavings.explore(lambda: publish_with_two_threads(ForgetfulInbox()), within=HERE)


class Parking:
    """One reader that waits for one message."""

    looks_again = True

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.parked: threading.Lock | None = None

    def publish(self) -> None:
        self.messages.append("message")
        if self.parked is not None:
            self.parked.release()

    def receive(self) -> None:
        if self.messages:
            return
        lock = threading.Lock()
        lock.acquire()
        self.parked = lock
        if self.looks_again and self.messages:
            return
        lock.acquire()


class CarelessParking(Parking):
    """Believes that nothing can happen between looking and parking."""

    looks_again = False


def parking(kind: type[Parking]) -> Threads:
    place = kind()
    return Threads([place.publish, place.receive])


def test_b3_parking_without_looking_again_loses_a_wakeup() -> None:
    with pytest.raises(FailedSchedule, match="every thread waits for a lock") as found:
        interleavings.explore(lambda: parking(CarelessParking), within=HERE)
    assert "Parking.receive" in str(found.value)


def test_b3_parking_that_looks_again_loses_none() -> None:
    assert interleavings.explore(lambda: parking(Parking), within=HERE).complete


def test_explorer_sees_races_through_containers() -> None:
    """A deque, a list and a dict: what frontrun 0.7.0 sees only in part."""

    def check_then_act(container: Any, act: Callable[[], object], missing: bool = False) -> Threads:
        def run() -> None:
            if ("key" not in container) if missing else container:
                act()

        return Threads([run, run])

    def fill_once() -> Threads:
        rooms: dict[str, int] = {}
        made = count()

        def fill() -> None:
            rooms["key"] = next(made)

        scenario = check_then_act(rooms, fill, missing=True)

        def check() -> None:
            assert next(made) == 1

        return Threads(scenario.threads, check)

    def take_left() -> Threads:
        inbox = InboxList().inbox
        inbox.append("only")
        return check_then_act(inbox, inbox.popleft)

    def take_token() -> Threads:
        token = ["only"]

        def take() -> None:
            del token[0]

        return check_then_act(token, take)

    for make in (fill_once, take_left, take_token):
        with pytest.raises(FailedSchedule):
            interleavings.explore(make, within=HERE, bound=1)


def test_explorer_knows_locks_conditions_and_timeouts() -> None:
    def a_condition() -> Threads:
        changed = threading.Condition()
        done: list[bool] = []

        def wait() -> None:
            with changed:
                while not done:
                    changed.wait()

        def change() -> None:
            with changed:
                done.append(True)
                changed.notify_all()

        return Threads([wait, change])

    def a_timeout() -> Threads:
        never = threading.Event()
        return Threads([lambda: never.wait(3600), lambda: never.is_set()])

    assert interleavings.explore(a_condition, within=HERE).complete
    assert interleavings.explore(a_timeout, within=HERE).complete


def test_explorer_finds_a_deadlock_of_two_locks() -> None:
    def opposite_orders() -> Threads:
        one, two = threading.Lock(), threading.Lock()

        def take(first: Any, second: Any) -> None:
            with first, second:
                pass

        return Threads([lambda: take(one, two), lambda: take(two, one)])

    with pytest.raises(FailedSchedule, match="every thread waits for a lock"):
        interleavings.explore(opposite_orders, within=HERE)


def test_explorer_finds_threads_that_never_end() -> None:
    def wait_for_nobody() -> None:
        while not HERE.count(None):  # type: ignore[arg-type]
            pass

    with pytest.raises(FailedSchedule, match="no end after"):
        interleavings.explore(lambda: Threads([wait_for_nobody]), within=HERE)


def test_explorer_does_not_hang_with_a_thread_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleavings, "PATIENCE", 0.2)
    out_of_sight = allocate_lock()
    out_of_sight.acquire()

    def block() -> None:
        out_of_sight.acquire()
        out_of_sight.release()

    with pytest.raises(FailedSchedule, match=r"stuck out of sight(.|\n)*out_of_sight.acquire"):
        interleavings.explore(lambda: Threads([block]), within=HERE)
    out_of_sight.release()


# Publishing in the middle of publishing.

REENTRY = """
import faulthandler, gc, signal, sys, threading
from proof.documented_list import InboxList, Link, LockedList

faulthandler.dump_traceback_later(1, exit=True)
kind, way = sys.argv[1:]
topic = InboxList() if kind == "Inbox" else LockedList(getattr(threading, kind)())

class Farewell:
    def __init__(self):
        self.cycle = self
    def __del__(self):
        topic.publish("inner")

if way == "finalizer":
    Farewell()
    Link.hook = gc.collect
else:
    signal.signal(signal.SIGUSR1, lambda *_: topic.publish("inner"))
    Link.hook = lambda: signal.raise_signal(signal.SIGUSR1)
topic.publish("outer")
print(*topic.values())
"""


def publish_within_publish(kind: str, way: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REENTRY, kind, way],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=30,
    )


ways = pytest.mark.parametrize(
    "way",
    [
        pytest.param("finalizer", id="c1"),
        pytest.param(
            "signal",
            id="c2",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="needs SIGUSR1"),
        ),
    ],
)


@ways
def test_a_lock_waits_for_itself(way: str) -> None:
    ended = publish_within_publish("Lock", way)
    assert ended.returncode == 1
    assert ended.stderr.count("in publish\n") == 2, ended.stderr


@ways
def test_an_rlock_loses_a_message(way: str) -> None:
    assert publish_within_publish("RLock", way).stdout.split() == ["outer"]


@ways
def test_an_inbox_keeps_both(way: str) -> None:
    assert publish_within_publish("Inbox", way).stdout.split() == ["outer", "inner"]


def two_calls(calls: list[str]) -> None:
    calls.append("one")
    calls.append("other")


def test_interruptions_come_at_every_place_and_then_no_more() -> None:
    seen: list[tuple[bool, tuple[str, ...]]] = []
    for at in range(20):
        calls: list[str] = []
        there = interruptions.interrupt(partial(two_calls, calls), at, within=HERE[:1])
        seen.append((there, tuple(calls)))
    # At the beginning, and after each of the two calls.
    done = [("one", "other")] * 17
    assert seen[:3] == [(True, ()), (True, ("one",)), (True, ("one", "other"))]
    assert seen[3:] == [(False, each) for each in done]
