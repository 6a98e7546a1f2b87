"""Waiting and being woken: cancellation, timeouts, several loops, and who is woken how."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from time import monotonic
from typing import Any

import anyio
import pytest
import trio
import uvloop
from anyio.lowlevel import checkpoint

from driftline import Subscription, Topic
from driftline._core.parking import on_asyncio, on_trio
from proof.law import Ledger, Published, Reader

PATIENCE = 30.0  # seconds, after which a test has failed

Backend = tuple[str, dict[str, Any]]


def parked(topic: Topic[Any]) -> int:
    """Return how many readers wait."""
    return sum(len(parking.parked) for parking in list(topic._waiting._parkings.values()))


async def until_parked(topic: Topic[Any], readers: int) -> None:
    with anyio.fail_after(PATIENCE):
        while parked(topic) < readers:
            await checkpoint()


def run(backend: Backend, function: Callable[[], Awaitable[object]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(PATIENCE):
            await function()

    name, options = backend
    anyio.run(bounded, backend=name, backend_options=options)


async def read_all(reader: Reader[Subscription[Published]]) -> None:
    async for value in reader.subscription:
        reader.got(value)


def start() -> tuple[Topic[Published], Ledger]:
    topic = Topic[Published]("topic")
    return topic, Ledger(topic)


# Cancellation and timeouts.


async def test_p6_a1_one_of_three_is_cancelled_and_the_others_notice_nothing() -> None:
    topic, ledger = start()
    readers = [ledger.reader(name, topic.subscribe) for name in "abc"]
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            cancelled = anyio.CancelScope()

            async def read_until_cancelled() -> None:
                with cancelled:
                    await read_all(readers[0])

            tasks.start_soon(read_until_cancelled)
            for reader in readers[1:]:
                tasks.start_soon(read_all, reader)
            await until_parked(topic, 3)
            cancelled.cancel()
            await checkpoint()
            ledger.publish("p")
            topic.close()
        await read_all(readers[0])
    ledger.check()


async def test_p6_a2_after_a_timeout_the_same_subscription_goes_on() -> None:
    topic, ledger = start()
    reader, other = (ledger.reader(name, topic.subscribe) for name in ("hasty", "patient"))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_all, other)
            with anyio.move_on_after(0.01) as scope:
                await reader.subscription.receive()
            assert scope.cancelled_caught
            ledger.publish("p")
            ledger.publish("p")
            topic.close()
            await read_all(reader)
    ledger.check()


async def test_p6_a2_after_a_timeout_the_same_subscription_waits_again() -> None:
    topic, ledger = start()
    reader = ledger.reader("hasty", topic.subscribe)
    waits = 0
    with anyio.fail_after(PATIENCE):
        for _ in range(3):
            with anyio.move_on_after(0.01) as scope:
                await reader.subscription.receive()
            waits += scope.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_all, reader)
            await until_parked(topic, 1)
            ledger.publish("p")
            topic.close()
    assert waits == 3  # here, because anyio swallows a cancellation that is met again
    ledger.check()


async def test_p7_a_task_woken_by_close_is_not_kept() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()

    async def read() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await subscription.receive()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until_parked(topic, 1)
            subscription.close()
    waiter = subscription._waiter
    if isinstance(waiter, on_asyncio.AsyncioWaiter):
        assert not waiter.future._callbacks  # or else it keeps the task


async def test_a3_a_slow_reader_meets_no_cancellation_that_was_meant_for_another() -> None:
    topic, ledger = start()
    slow, cancelled = (ledger.reader(name, topic.subscribe) for name in ("slow", "cancelled"))
    cancelled.leave()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                ledger.publish("p")
            tasks.start_soon(read_all, cancelled)
            await until_parked(topic, 1)
            tasks.cancel_scope.cancel()
        for _ in range(2):
            ledger.publish("p")
        topic.close()
        await read_all(slow)
    ledger.check()


@pytest.mark.parametrize("first", ["publish", "cancel"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_p6_a4_a5_cancelled_and_published_in_one_tick_it_is_not_consumed_or_delivered(
    first: str, elsewhere: bool
) -> None:
    topic, ledger = start()

    def publish() -> None:
        if elsewhere:
            thread = threading.Thread(target=ledger.publish, args=("p",))
            thread.start()
            thread.join(PATIENCE)
        else:
            ledger.publish("p")

    reader, other = (ledger.reader(name, topic.subscribe) for name in ("cancelled", "other"))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as others:
            others.start_soon(read_all, other)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_all, reader)
                await until_parked(topic, 2)
                if first == "publish":
                    publish()
                    tasks.cancel_scope.cancel()
                else:
                    tasks.cancel_scope.cancel()
                    publish()
            assert reader.subscription.received == len(reader.values)
            topic.close()
        await read_all(reader)
    ledger.check()


# asyncio's own cancellation, unlike that of anyio and trio, comes once.
ASYNCIO = pytest.mark.parametrize(
    "options", [{"debug": True}, {"use_uvloop": True}], ids=["asyncio", "uvloop"]
)


@ASYNCIO
@pytest.mark.parametrize("first", ["publish", "cancel", "only cancel"])
def test_a7_a_native_cancellation_inside_a_scope_of_anyio_consumes_nothing(
    options: dict[str, Any], first: str
) -> None:
    async def main() -> None:
        topic, ledger = start()
        reader = ledger.reader("cancelled", topic.subscribe)

        async def read_in_a_scope() -> None:
            with anyio.CancelScope():
                await read_all(reader)

        task = asyncio.ensure_future(read_in_a_scope())
        await until_parked(topic, 1)
        if first == "publish":
            ledger.publish("p")
        task.cancel("enough")
        if first == "cancel":
            ledger.publish("p")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert parked(topic) == 0
        topic.close()
        await read_all(reader)
        ledger.check()

    run(("asyncio", options), main)


@ASYNCIO
def test_a8_a_cancellation_is_not_swallowed_when_the_wait_is_over_in_the_same_tick(
    options: dict[str, Any],
) -> None:
    async def main() -> None:
        topic = Topic[int]("topic")
        subscription = topic.subscribe()
        task = asyncio.ensure_future(subscription.receive())
        await until_parked(topic, 1)
        topic.publish(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert subscription.received == 0
        assert await subscription.receive() == 1

    run(("asyncio", options), main)


@ASYNCIO
def test_a8_a_cancellation_while_others_are_being_woken_arrives_at_once(
    options: dict[str, Any],
) -> None:
    async def main() -> None:
        topic = Topic[int]("topic")

        async def cancel_the_other(subscription: Subscription[int]) -> None:
            await subscription.receive()
            other.cancel()

        async def publish_and_wait() -> None:
            topic.publish(1)
            await topic.subscribe().receive()  # waits before those who wait already are woken

        cancelling = asyncio.ensure_future(cancel_the_other(topic.subscribe()))
        await until_parked(topic, 1)
        other = asyncio.ensure_future(publish_and_wait())
        done, _ = await asyncio.wait([cancelling, other], timeout=5)
        assert done == {cancelling, other}
        assert other.cancelled()

    run(("asyncio", options), main)


class CancelsFirst:
    """What a task is woken with, but cancels it just before."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task

    def result(self) -> None:
        self.task.cancel()


@ASYNCIO
@pytest.mark.parametrize("before", [0, 1])
def test_a8_a_cancellation_just_before_the_task_goes_on_is_not_swallowed(
    options: dict[str, Any], before: int
) -> None:
    async def main() -> None:
        topic = Topic[int]("topic")
        subscription = topic.subscribe()
        for value in range(before):
            topic.publish(value)
            await subscription.receive()
        task = asyncio.ensure_future(subscription.receive())
        await until_parked(topic, 1)
        parking: Any = topic._waiting.queue[0]
        parking.done = CancelsFirst(task)
        topic.publish(1)
        await asyncio.wait([task])
        assert task.cancelled()
        assert subscription.received == before
        assert await subscription.receive() == 1

    run(("asyncio", options), main)


@ASYNCIO
def test_a8_a_task_cancelled_between_two_slices_of_waking_ends_at_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is on the list of those to be woken may leave, and wait again, before."""
    monkeypatch.setattr(on_asyncio, "_SLICE", -1.0)  # a slice is now as short as can be

    async def main() -> None:
        topic = Topic[int]("topic")
        subscriptions = [topic.subscribe() for _ in range(64)]
        cancelled: list[int] = []

        async def read(number: int) -> None:
            while True:
                try:
                    async with asyncio.timeout(None) as timeout:
                        timeouts[number] = timeout
                        async for _ in subscriptions[number]:
                            if number == 0:
                                for each in timeouts.values():
                                    each.reschedule(0)
                    return
                except TimeoutError:
                    cancelled.append(number)

        timeouts: dict[int, asyncio.Timeout] = {}
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(read, number)
            await until_parked(topic, 64)
            topic.publish(1)
            while len(cancelled) < 64:
                await checkpoint()
            topic.close()
        assert [subscription.received for subscription in subscriptions] == [1] * 64

    run(("asyncio", options), main)


async def test_a9_a_thousand_timeouts_leave_nobody_behind() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    for _ in range(1_000):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await subscription.receive()
        assert scope.cancelled_caught
    assert parked(topic) == 0
    assert len(topic._waiting.queue) <= 1
    assert len(topic._waiting._parkings) <= 1
    topic.publish(1)
    with anyio.fail_after(PATIENCE):
        assert await subscription.receive() == 1


def test_a9_a_thousand_timeouts_in_a_thread_leave_nobody_behind() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    for _ in range(1_000):
        with pytest.raises(TimeoutError):
            subscription.receive_blocking(timeout=1e-5)
    assert parked(topic) == 0
    assert len(topic._waiting.queue) <= 1
    assert len(topic._waiting._parkings) <= 1
    topic.publish(1)
    assert subscription.receive_blocking(timeout=0) == 1


async def test_a6_closing_is_no_checkpoint_and_so_cannot_be_cancelled() -> None:
    topic = Topic[int]("topic")
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with topic.subscribe() as subscription:
            pass
    assert subscription.closed
    assert not topic.subscriptions()


# Two tasks, two loops.


async def test_p6_b11_a_second_reader_of_a_subscription_is_refused_and_harms_nothing() -> None:
    topic, ledger = start()
    reader = ledger.reader("shared", topic.subscribe)
    subscription = reader.subscription
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_all, reader)
            await until_parked(topic, 1)
            for view in (subscription, subscription.batches(), subscription.messages()):
                with pytest.raises(anyio.BusyResourceError):
                    await anext(view)
            with pytest.raises(anyio.BusyResourceError):
                await subscription.receive()
            with pytest.raises(anyio.BusyResourceError):
                subscription.receive_nowait()
            with pytest.raises(anyio.BusyResourceError):
                subscription.receive_blocking()
            ledger.publish("p")
            await until_parked(topic, 1)
            topic.close()
    ledger.check()


def test_b11_a_second_thread_is_refused_and_harms_nothing() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(subscription), daemon=True)
    thread.start()
    end = monotonic() + PATIENCE
    while parked(topic) < 1:
        assert monotonic() < end
    with pytest.raises(anyio.BusyResourceError):
        subscription.receive_blocking(timeout=0)
    topic.publish(1)
    topic.close()
    thread.join(PATIENCE)
    assert got == [1]


def test_b12_a_subscription_moves_between_loops_of_all_kinds_and_threads() -> None:
    topic, ledger = start()
    reader = ledger.reader("traveller", topic.subscribe)
    backends: list[Backend] = [
        ("asyncio", {"debug": True}),
        ("trio", {}),
        ("asyncio", {"use_uvloop": True}),
        ("trio", {}),
        ("asyncio", {}),
    ]

    async def read_two() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive_two)
            await until_parked(topic, 1)
            ledger.publish("p")
            ledger.publish("p")

    async def receive_two() -> None:
        for _ in range(2):
            reader.got(await reader.subscription.receive())

    def read_two_in_a_thread() -> None:
        def receive() -> None:
            for _ in range(2):
                reader.got(reader.subscription.receive_blocking(PATIENCE))

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        end = monotonic() + PATIENCE
        while parked(topic) < 1:
            assert monotonic() < end
        ledger.publish("p")
        ledger.publish("p")
        thread.join(PATIENCE)
        assert not thread.is_alive()

    for backend in backends:
        run(backend, read_two)
        run(backend, read_two)  # another loop of the same kind
        read_two_in_a_thread()
    for backend in backends:
        run(backend, read_two)
    ledger.check()


def test_b12_asyncio_and_a_trio_run_that_is_its_guest_read_one_topic() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()

    async def read_in_trio() -> int:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:

                async def publish() -> None:
                    await until_parked(topic, 1)
                    topic.publish(2)

                own = subscription.fork()  # trio refuses what has waited on asyncio in its thread
                nursery.start_soon(publish)
                return await own.receive()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            task = asyncio.ensure_future(subscription.receive())
            await until_parked(topic, 1)
            topic.publish(1)
            assert await task == 1
            ended: asyncio.Future[Any] = loop.create_future()
            trio.lowlevel.start_guest_run(
                read_in_trio,
                run_sync_soon_threadsafe=loop.call_soon_threadsafe,
                done_callback=ended.set_result,
            )
            outcome = await asyncio.wait_for(ended, PATIENCE)
            assert outcome.unwrap() == subscription.receive_nowait() == 2

    asyncio.run(main())


@ASYNCIO
def test_b13_asyncio_in_debug_mode_sees_no_call_from_a_wrong_thread(
    options: dict[str, Any],
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert loop.get_debug()
        with pytest.raises(RuntimeError, match="Non-thread-safe"):  # it would see one
            await anyio.to_thread.run_sync(loop.call_soon, print)
        topic, ledger = start()
        readers = [ledger.reader(name, topic.subscribe) for name in "ab"]
        readers[1].leave()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_all, readers[0])
            tasks.start_soon(read_until_closed, readers[1])
            await until_parked(topic, 2)
            await anyio.to_thread.run_sync(ledger.publish, "p")
            await until_parked(topic, 2)
            await anyio.to_thread.run_sync(readers[1].subscription.close)
            await anyio.to_thread.run_sync(topic.close)
        ledger.check()

    async def read_until_closed(reader: Reader[Subscription[Published]]) -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await read_all(reader)

    run(("asyncio", options | {"debug": True}), main)


# Who is woken, and how.


@ASYNCIO
def test_p6_a_system_exit_in_one_woken_reader_leaves_no_other_asleep(
    options: dict[str, Any],
) -> None:
    topic = Topic[int]("topic")
    received: list[int] = []

    async def read(number: int, subscription: Subscription[int]) -> None:
        await subscription.receive()
        if number % 3 == 1:
            raise SystemExit(number)
        received.append(number)

    loop = uvloop.new_event_loop() if "use_uvloop" in options else asyncio.new_event_loop()
    tasks = [loop.create_task(read(number, topic.subscribe())) for number in range(9)]
    loop.run_until_complete(until_parked(topic, 9))
    topic.publish(1)
    exits = 0
    while True:
        try:
            loop.run_until_complete(asyncio.wait(tasks, timeout=PATIENCE))
        except SystemExit:
            exits += 1
        else:
            break
    assert all(task.done() for task in tasks)
    assert sorted(received) == [0, 2, 3, 5, 6, 8]
    assert sum(isinstance(task.exception(), SystemExit) for task in tasks) == 3
    loop.close()


async def test_p6_a_reader_that_fails_when_woken_leaves_no_other_asleep() -> None:
    topic = Topic[int]("topic")
    received: list[int] = []

    async def read(number: int, subscription: Subscription[int]) -> None:
        with suppress(ZeroDivisionError):
            received.append(await subscription.receive() // (number % 2))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(read, number, topic.subscribe())
            await until_parked(topic, 100)
            topic.publish(1)
    assert received == [1] * 50


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_d8_readers_that_are_woken_at_once_let_others_run_and_none_is_left_behind(
    elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_asyncio, "_SLICE", -1.0)  # so it ends where the clock is looked at
    monkeypatch.setattr(on_trio, "_SLICE", 8)
    topic = Topic[int]("topic")
    many = 800
    subscriptions = [topic.subscribe() for _ in range(many)]
    woken: list[int] = []
    seen: list[int] = []

    async def read(number: int) -> None:
        async for _ in subscriptions[number]:
            woken.append(number)  # noqa: PERF401  # seen while it goes on

    async def beat() -> None:
        while len(woken) < many:
            seen.append(len(woken))
            await checkpoint()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(many):
                tasks.start_soon(read, number)
            await until_parked(topic, many)
            tasks.start_soon(beat)
            while not seen:
                await checkpoint()
            if elsewhere:
                await anyio.to_thread.run_sync(topic.publish, 1)
            else:
                topic.publish(1)
            while len(woken) < many:
                await checkpoint()
            topic.close()
    assert sorted(woken) == list(range(many))
    assert max(later - earlier for earlier, later in pairwise([*seen, many])) <= 32


@ASYNCIO
def test_d8_the_clock_is_looked_at_for_every_eighth_of_those_that_do_little(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the looking costs next to nothing."""
    looks = 0

    def monotonic() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    monkeypatch.setattr(on_asyncio, "monotonic", monotonic)

    async def main() -> None:
        topic = Topic[int]("topic")
        async with anyio.create_task_group() as tasks:
            for _ in range(800):
                tasks.start_soon(topic.subscribe().receive)
            await until_parked(topic, 800)
            topic.publish(1)

    run(("asyncio", options), main)
    assert 100 <= looks <= 110


@ASYNCIO
def test_d8_readers_that_do_much_when_they_are_woken_are_few_in_a_slice(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only they move, a millisecond each; a slice is two."""
    now = 0.0
    monkeypatch.setattr(on_asyncio, "monotonic", lambda: now)

    async def main() -> None:
        topic = Topic[int]("topic")
        many = 100
        woken = 0
        seen: list[int] = []

        async def read(subscription: Subscription[int]) -> None:
            nonlocal now, woken
            await subscription.receive()
            now += 0.001
            woken += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(many):
                tasks.start_soon(read, topic.subscribe())
            await until_parked(topic, many)
            topic.publish(1)
            while woken < many:
                seen.append(woken)
                await checkpoint()
        assert max(later - earlier for earlier, later in pairwise([*seen, many])) == 3

    run(("asyncio", options), main)


who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def test_each_task_keeps_its_own_context_when_it_is_woken() -> None:
    topic = Topic[int]("topic")
    seen: list[tuple[str, str]] = []

    async def read(name: str, subscription: Subscription[int]) -> None:
        who.set(name)
        async for _ in subscription:
            seen.append((name, who.get()))
            who.set(name)

    def publish() -> None:
        who.set("thread")
        topic.publish(2)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(read, name, topic.subscribe())
            await until_parked(topic, 3)
            who.set("publisher")
            topic.publish(1)
            while len(seen) < 3:
                await checkpoint()
            await until_parked(topic, 3)
            await anyio.to_thread.run_sync(publish)
            while len(seen) < 6:
                await checkpoint()
            topic.close()
    assert all(name == found for name, found in seen)
    assert who.get() == "publisher"


async def test_readers_that_wait_are_blocked_for_those_who_ask_anyio() -> None:
    topic = Topic[int]("topic")
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.subscribe().receive)
            tasks.start_soon(topic.subscribe().receive)
            await anyio.wait_all_tasks_blocked()
            assert parked(topic) == 2
            tasks.cancel_scope.cancel()


async def test_p10_close_wakes_all_who_wait_for_a_subscription_or_the_topic() -> None:
    topic = Topic[int]("topic")
    subscriptions = [topic.subscribe() for _ in range(3)]
    ends: list[type[Exception]] = []

    async def read(subscription: Subscription[int]) -> None:
        try:
            await subscription.receive()
        except (anyio.ClosedResourceError, anyio.EndOfStream) as error:
            ends.append(type(error))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for subscription in subscriptions:
                tasks.start_soon(read, subscription)
            await until_parked(topic, 3)
            subscriptions[0].close()
            await anyio.to_thread.run_sync(subscriptions[1].close)
            while len(ends) < 2:
                await checkpoint()
            topic.close()
    assert ends == [anyio.ClosedResourceError, anyio.ClosedResourceError, anyio.EndOfStream]


# Blocking.


@pytest.mark.parametrize("close_first", [True, False])
async def test_p6_a_reader_closed_and_published_to_in_one_tick_is_woken_once(
    close_first: bool,
) -> None:
    topic, ledger = start()
    closed, other = (ledger.reader(name, topic.subscribe) for name in ("closed", "other"))
    ended: list[str] = []

    async def read_until_closed() -> None:
        with suppress(anyio.ClosedResourceError):
            await read_all(closed)
        for _ in range(5):  # in which whoever is woken again would go on too early
            await checkpoint()
        ended.append(closed.name)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_until_closed)
            await until_parked(topic, 1)
            tasks.start_soon(read_all, other)
            await until_parked(topic, 2)
            if close_first:
                closed.subscription.close()
            ledger.publish("p")
            closed.subscription.close()
            await checkpoint()
            ledger.publish("p")
            topic.close()
    closed.leave()
    ledger.check()
    assert ended == ["closed"]


async def test_receive_blocking_in_the_thread_of_an_event_loop_is_refused() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    with pytest.raises(RuntimeError, match=r"await receive\(\)"):
        subscription.receive_blocking(timeout=1)
    with pytest.raises(RuntimeError, match=r"await receive\(\)"):
        next(subscription)
    topic.publish(1)
    assert subscription.receive_blocking() == 1  # need not wait
    assert parked(topic) == 0


async def test_receive_blocking_works_in_a_worker_thread_without_further_ado() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    got: list[int] = []
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:

            async def read_in_a_thread() -> None:
                got.append(await anyio.to_thread.run_sync(subscription.receive_blocking, PATIENCE))

            tasks.start_soon(read_in_a_thread)
            await until_parked(topic, 1)
            topic.publish(1)
    assert got == [1]


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -math.inf, 1e-9])
def test_a2_a_timeout_that_is_over_at_once_consumes_nothing(timeout: float) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    with pytest.raises(TimeoutError):
        subscription.receive_blocking(timeout)
    topic.publish(1)
    assert subscription.receive_blocking(timeout) == 1
    assert parked(topic) == 0


def test_a_timeout_that_is_not_a_number_is_refused() -> None:
    topic = Topic[int]("topic", limit=1)
    subscription = topic.subscribe()
    with pytest.raises(ValueError, match="NaN"):
        subscription.receive_blocking(math.nan)
    with pytest.raises(ValueError, match="NaN"):
        topic.send_blocking(1, math.nan)
    with pytest.raises(ValueError, match="number of seconds greater than 0"):
        subscription.park(10**400)
    assert subscription.lag == 0


@pytest.mark.parametrize("timeout", [math.inf, threading.TIMEOUT_MAX * 2, 10**400])
def test_a_timeout_longer_than_python_can_wait_is_as_good_as_none(timeout: float) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    got: list[int] = []
    thread = threading.Thread(
        target=lambda: got.append(subscription.receive_blocking(timeout)), daemon=True
    )
    thread.start()
    end = monotonic() + PATIENCE
    while parked(topic) < 1:
        assert monotonic() < end
    topic.publish(1)
    thread.join(PATIENCE)
    assert got == [1]


def test_a_task_of_no_loop_that_is_known_is_told_so() -> None:
    steps: Any = Topic[int]("topic").subscribe().receive().__await__()
    with pytest.raises(RuntimeError):
        next(steps)
