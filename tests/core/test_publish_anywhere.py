"""P4 and P5: publish from anywhere, at a cost that does not depend on who reads."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from textwrap import dedent
from time import monotonic
from typing import Any

import anyio
import pytest
import trio
import uvloop
from anyio.lowlevel import checkpoint

from driftline import Lagged, OnLag, Subscription, Topic
from driftline._core.parking.base import Parking
from proof.law import Ledger, Published, Reader

PATIENCE = 30.0  # seconds, after which a test has failed
PROMPT = 1.0  # seconds; what is measured is less than a millisecond, but machines are busy

Backend = tuple[str, dict[str, Any]]


def together(*functions: Callable[[], object]) -> None:
    """Run functions in threads, and raise what they raise."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(each,), daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    end = monotonic() + PATIENCE
    for thread in threads:
        thread.join(end - monotonic())
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread never ended"


def parked(topic: Topic[Any]) -> int:
    """Return how many readers wait."""
    return sum(
        len(parking.parked)
        for parking in (reference() for reference in topic._waiting._parkings.valuerefs())
        if parking
    )


async def until_parked(topic: Topic[Any], readers: int) -> None:
    with anyio.fail_after(PATIENCE):
        while parked(topic) < readers:
            await checkpoint()


def until_asleep(topic: Topic[Any], readers: int) -> None:
    """Return, in a thread, when so many readers wait and their event loops are asleep."""
    end = monotonic() + PATIENCE
    nothing = threading.Event()
    while parked(topic) < readers:
        assert monotonic() < end
        nothing.wait(0.001)
    # No event tells that a loop has entered its `select`. If it has not, this proves less.
    nothing.wait(0.02)


def run(backend: Backend, function: Callable[[], Awaitable[object]]) -> None:
    name, options = backend
    anyio.run(function, backend=name, backend_options=options)


def drain(reader: Reader[Subscription[Published]]) -> None:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            reader.got(reader.subscription.receive_nowait())


@contextmanager
def switching_threads_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


# Threads and several event loops.


def test_p4_b1_a_thread_wakes_a_reader_whose_event_loop_is_asleep(anyio_backend: Backend) -> None:
    topic = Topic[float]("topic")
    times = 10
    latencies: list[float] = []

    async def read() -> None:
        with anyio.fail_after(PATIENCE):
            latencies.extend([monotonic() - published async for published in subscription])

    def publish() -> None:
        for _ in range(times):
            until_asleep(topic, 1)
            topic.publish(monotonic())
        topic.close()

    subscription = topic.subscribe()
    together(lambda: run(anyio_backend, read), publish)
    assert len(latencies) == times
    assert max(latencies) < PROMPT


@pytest.mark.parametrize("threads", [2, 4])
def test_p1_p3_p4_b2_no_message_of_several_threads_is_lost(threads: int) -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    readers = [ledger.reader(name, topic.subscribe) for name in "ab"]
    meet = threading.Barrier(threads)

    def publish(name: str) -> Callable[[], None]:
        def publishing() -> None:
            meet.wait(PATIENCE)
            for _ in range(20_000 * 2 // threads):
                ledger.publish(name)

        return publishing

    with switching_threads_often():
        together(*(publish(f"p{number}") for number in range(threads)))
    for reader in readers:
        drain(reader)
    ledger.check()


def test_p4_b4_publishing_needs_no_event_loop() -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    reader = ledger.reader("reader", topic.subscribe)
    together(lambda: ledger.publish("p"))
    drain(reader)
    ledger.check()


def test_p1_p3_b5_readers_on_four_event_loops_and_in_threads_agree() -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    backends: list[Backend] = [
        ("asyncio", {"debug": True}),
        ("asyncio", {}),
        ("asyncio", {"use_uvloop": True}),
        ("trio", {}),
    ]
    on_loops = [ledger.reader(f"loop {number}", topic.subscribe) for number in range(8)]
    in_threads = [ledger.reader(f"thread {number}", topic.subscribe) for number in range(2)]

    async def read(reader: Reader[Subscription[Published]]) -> None:
        async for value in reader.subscription:
            reader.got(value)

    def read_on_loop(number: int) -> None:
        async def main() -> None:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for reader in on_loops[number::4]:
                        tasks.start_soon(read, reader)

        run(backends[number], main)

    def read_in_thread(reader: Reader[Subscription[Published]]) -> None:
        for value in reader.subscription:
            reader.got(value)

    def publish(name: str) -> None:
        until_asleep(topic, 1)
        for number in range(500):
            ledger.publish(name)
            if number % 100 == 0:
                until_asleep(topic, 1)

    def publish_all() -> None:
        together(lambda: publish("p"), lambda: publish("q"))
        topic.close()

    with switching_threads_often():
        together(
            publish_all,
            *(lambda number=number: read_on_loop(number) for number in range(4)),
            *(lambda reader=reader: read_in_thread(reader) for reader in in_threads),
        )
    ledger.check()


# Event loops that are no more.


def park_a_task(loop: asyncio.AbstractEventLoop, topic: Topic[Any]) -> asyncio.Task[Any]:
    """Let a task wait for a message on a loop that then stands still."""

    async def park() -> asyncio.Task[Any]:
        task = asyncio.ensure_future(topic.subscribe().receive())
        await until_parked(topic, parked(topic) + 1)
        return task

    return loop.run_until_complete(park())


def let_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> Any:
    """Let a task end on its loop, and close that."""

    async def end() -> Any:
        with anyio.fail_after(PATIENCE):
            return await task

    try:
        return loop.run_until_complete(end())
    finally:
        loop.close()


@contextmanager
def unclosed_tasks_forgiven() -> Iterator[None]:
    """Keep asyncio quiet about tasks that can never end, because a test has closed their loop."""
    logger = logging.getLogger("asyncio")
    logger.disabled = True
    try:
        yield
        gc.collect()
    finally:
        logger.disabled = False


LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@LOOPS
def test_p6_b6_a_closed_event_loop_hurts_neither_publisher_nor_other_readers(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    topic = Topic[int]("topic")
    with unclosed_tasks_forgiven():
        dead, alive = new_loop(), new_loop()
        lost = park_a_task(dead, topic)
        task = park_a_task(alive, topic)
        dead.close()
        topic.publish(1)
        assert let_end(alive, task) == 1
        assert not topic._waiting.queue  # J5
        del dead, lost, alive, task
        gc.collect()
        assert not topic._waiting._parkings
        assert not topic.subscriptions()


@LOOPS
def test_p6_b7_a_loop_that_closes_just_when_it_is_called_hurts_nobody(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    topic = Topic[int]("topic")
    with unclosed_tasks_forgiven():
        closing, alive = new_loop(), new_loop()
        lost = park_a_task(closing, topic)
        task = park_a_task(alive, topic)
        # Between any check of driftline's and the call.
        [parking] = [each for each in topic._waiting.queue if each.loop is closing]  # type: ignore[attr-defined]
        parking.loop = ClosesWhenCalled(closing)  # type: ignore[attr-defined]
        topic.publish(1)
        assert closing.is_closed()
        assert let_end(alive, task) == 1
        assert not topic._waiting.queue
        del lost


class ClosesWhenCalled:
    """A loop that another thread closes at the worst moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def is_closed(self) -> bool:
        return self.loop.is_closed()

    def get_debug(self) -> bool:
        return self.loop.get_debug()

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> object:
        self.loop.close()
        return self.loop.call_soon_threadsafe(*arguments, **keywords)


def test_p6_b8_a_finished_trio_run_hurts_neither_publisher_nor_other_readers() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()

    async def give_up() -> None:
        with trio.move_on_after(0):
            await subscription.receive()

    trio.run(give_up)
    assert topic._waiting.queue  # what is left of the run
    alive = asyncio.new_event_loop()
    task = park_a_task(alive, topic)  # called after the run that is no more
    topic.publish(1)
    assert let_end(alive, task) == 1
    assert not topic._waiting.queue
    assert subscription.receive_nowait() == 1

    async def read() -> int:
        with trio.fail_after(PATIENCE):
            return await subscription.receive()

    topic.publish(2)
    assert trio.run(read) == 2


class OddLoop(asyncio.SelectorEventLoop):
    """A loop that cannot be called, for a reason that nobody has foreseen."""

    odd = True

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        if self.odd:
            raise ZeroDivisionError("odd")
        return super().call_soon_threadsafe(*arguments, **keywords)


def test_p4_p6_e12_a_call_that_fails_is_reported_and_reaches_neither_publisher_nor_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    topic = Topic[int]("topic")
    odd, alive = OddLoop(), asyncio.new_event_loop()
    unlucky = park_a_task(odd, topic)
    lucky = park_a_task(alive, topic)
    topic.publish(1)
    assert [report.exc_type for report in reports] == [ZeroDivisionError]
    assert "will be woken with the next message" in reports[0].exc_value.__notes__[0]
    assert let_end(alive, lucky) == 1
    odd.odd = False
    topic.publish(2)  # calls it again
    assert let_end(odd, unlucky) == 1
    assert len(reports) == 1


def test_p4_e12_the_report_works_with_the_hook_that_python_has_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    topic = Topic[int]("topic")
    odd = OddLoop()
    unlucky = park_a_task(odd, topic)
    topic.publish(1)
    assert "ZeroDivisionError: odd" in capsys.readouterr().err
    odd.odd = False
    topic.publish(2)
    assert let_end(odd, unlucky) == 1


# Finalizers, signal handlers, and publishing within publishing.


class Publishes:
    """Publishes when the garbage collector finds it."""

    def __init__(self, publish: Callable[[], object]) -> None:
        self.publish = publish
        self.cycle = self

    def __del__(self) -> None:
        self.publish()


@pytest.mark.parametrize("threshold", [3, 7, 51, 53])
def test_p4_c1_a_finalizer_that_publishes_within_a_publish_loses_nothing(threshold: int) -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    reader = ledger.reader("reader", topic.subscribe)
    collected = count()

    def publish_from_finalizer() -> None:
        next(collected)
        # A finalizer may run within another one, so each is a publisher of its own.
        ledger.publish(f"finalizer {next(numbers)}")

    numbers = count()
    thresholds = gc.get_threshold()
    gc.set_threshold(threshold)
    try:
        for _ in range(2_000):
            Publishes(publish_from_finalizer)
            ledger.publish("p")
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert next(collected) == 2_000
    drain(reader)
    ledger.check()


@contextmanager
def interrupted_finalizers_ignored() -> Iterator[None]:
    """Have Python not report that a signal handler has raised in a finalizer, where it is lost."""
    gc.collect()  # what other tests have left has finalizers too
    gc.disable()
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before
        gc.enable()


@contextmanager
def alarms(handler: Callable[[], object]) -> Iterator[None]:
    """Call the handler for a signal 0.3 ms after it has ended, again and again."""

    def handle(*_: object) -> None:
        handler()
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    try:
        with interrupted_finalizers_ignored():
            yield
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_p4_c2_a_signal_handler_that_publishes_within_a_publish_loses_nothing() -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    reader = ledger.reader("reader", topic.subscribe)
    handled = 0

    def publish() -> None:
        nonlocal handled
        topic.publish(("handler", handled))
        handled += 1

    end = monotonic() + PATIENCE
    with alarms(publish):
        while handled < 500:
            assert monotonic() < end
            ledger.publish("p")
    handlers_own = 0
    with suppress(anyio.WouldBlock):
        while True:
            value = reader.subscription.receive_nowait()
            if value[0] == "handler":
                assert value == ("handler", handlers_own)
                handlers_own += 1
            else:
                reader.got(value)
    assert handlers_own == handled
    assert len(reader.values) == len(ledger.accepted)
    assert [number for _, number in reader.values] == list(range(len(reader.values)))


async def test_p4_c2_a_signal_handler_wakes_readers_on_the_event_loop_that_it_interrupts() -> None:
    topic = Topic[float]("topic")
    latencies: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: topic.publish(monotonic()))
    try:
        with anyio.fail_after(PATIENCE):
            async for published in subscribed_and_armed(topic):
                latencies.append(monotonic() - published)
                if len(latencies) == 20:
                    break
                signal.setitimer(signal.ITIMER_REAL, 0.005)  # by then the loop is asleep
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert max(latencies) < PROMPT


def subscribed_and_armed(topic: Topic[float]) -> Subscription[float]:
    subscription = topic.subscribe()
    signal.setitimer(signal.ITIMER_REAL, 0.005)
    return subscription


async def test_p4_c2_a_signal_handler_publishes_while_tasks_publish_and_read() -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    readers = [ledger.reader(name, topic.subscribe) for name in "ab"]
    handled = 0

    def publish() -> None:
        nonlocal handled
        # Not through the ledger, which a handler could interrupt, and which is not made for it.
        topic.publish(("handler", handled))
        handled += 1

    got: list[list[int]] = [[], []]

    async def read(number: int) -> None:
        async for publisher, sequence in readers[number].subscription:
            if publisher == "handler":
                got[number].append(sequence)
            else:
                readers[number].values.append((publisher, sequence))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, 0)
            tasks.start_soon(read, 1)
            with alarms(publish):
                while handled < 200:
                    ledger.publish("p")
                    await checkpoint()
            topic.close()
    for number in (0, 1):
        assert got[number] == list(range(handled))
        assert readers[number].values == list(ledger.accepted)


async def test_p4_c1_c2_a_finalizer_publishes_just_when_a_reader_is_about_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader then stands where it waits, but its task runs, and must not be woken as usual."""
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    numbers = iter(range(10))
    enqueue = Parking.enqueue

    def enqueue_and_publish(parking: Parking[Any]) -> None:
        enqueue(parking)
        if (number := next(numbers, None)) is not None:
            topic.publish(number)

    monkeypatch.setattr(Parking, "enqueue", enqueue_and_publish)
    with anyio.fail_after(PATIENCE):
        assert [await subscription.receive() for _ in range(10)] == list(range(10))


class CalledOnce:
    """Stands where parkings stand that want to be called, and does something else then, once."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callbacks = [callback]

    def call(self) -> None:
        if self.callbacks:
            self.callbacks.pop()()


def test_k4_who_is_interrupted_links_what_others_left_to_it_meanwhile() -> None:
    topic = Topic[int]("topic")
    queue: Any = topic._waiting.queue

    def publish_and_interrupt() -> None:
        topic.publish(2)
        raise KeyboardInterrupt

    queue.append(CalledOnce(publish_and_interrupt))
    with pytest.raises(KeyboardInterrupt):
        topic.publish(1)
    assert topic.published == 2


@pytest.mark.parametrize("moment", ["before it can be found", "after its last look"])
async def test_p4_b3_a_thread_publishes_just_when_a_reader_is_about_to_wait(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    enqueue, enter = Parking.enqueue, Parking.enter

    def publish_and_enqueue(parking: Parking[Any]) -> None:
        monkeypatch.undo()
        together(lambda: topic.publish(1))
        enqueue(parking)

    def enter_and_publish(parking: Parking[Any], waiter: Any, reader: Any) -> bool:
        monkeypatch.undo()
        waits = enter(parking, waiter, reader)
        together(lambda: topic.publish(1))
        return waits

    if moment == "before it can be found":
        monkeypatch.setattr(Parking, "enqueue", publish_and_enqueue)
    else:
        monkeypatch.setattr(Parking, "enter", enter_and_publish)
    with anyio.fail_after(PATIENCE):
        assert await subscription.receive() == 1
    assert topic.published == 1
    parking: Any = subscription._waiter.parking
    assert not parking.parked


@pytest.mark.untraced
def test_k4_control_c_in_the_middle_of_a_publish_costs_nobody_else_a_message() -> None:
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    reader = ledger.reader("reader", topic.subscribe)
    interrupted = 0
    done = threading.Event()

    def publish_elsewhere() -> None:
        while not done.is_set():
            ledger.publish("elsewhere")

    def interrupt() -> None:
        # Armed again first, because this does not return.
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
        if armed:
            raise KeyboardInterrupt

    armed = False
    other = threading.Thread(target=publish_elsewhere, daemon=True)
    mine = 0
    end = monotonic() + PATIENCE
    with switching_threads_often(), alarms(interrupt):
        other.start()
        while interrupted < 300:
            assert monotonic() < end
            try:
                armed = True
                for _ in range(100):
                    topic.publish(("here", mine))
                    mine += 1
                armed = False
            except KeyboardInterrupt:
                armed = False
                interrupted += 1
                mine += 1  # whether it was published or not
    done.set()
    other.join(PATIENCE)
    assert not other.is_alive()
    last = ledger.publish("last")
    here: list[int] = []
    with suppress(anyio.WouldBlock):
        while True:
            value = reader.subscription.receive_nowait()
            if value[0] == "here":
                here.append(value[1])
            else:
                reader.values.append(value)
    assert reader.values[-1] == last  # the topic is as usable as before
    assert here == sorted(set(here))
    assert len(here) >= mine - interrupted  # what returned was published
    assert [value for value in reader.values if value[0] == "elsewhere"] == [
        value for value in ledger.accepted if value[0] == "elsewhere"
    ]


@contextmanager
def control_c(handler: Callable[[], object]) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.untraced
def test_p1_p3_k4_a_storm_of_control_c_leaves_nothing_in_the_inbox_and_nobody_in_the_turn() -> None:
    """Here one comes while the last is being dealt with. Its thread is not the only publisher."""
    topic = Topic[Published]("topic")
    subscription = topic.subscribe()
    armed = False
    returned: list[int] = []
    elsewhere = 0
    interrupted = 0
    done = threading.Event()

    def publish_and_press_control_c() -> None:
        nonlocal elsewhere
        while not done.is_set():
            topic.publish(("elsewhere", elsewhere))
            elsewhere += 1
            signal.raise_signal(signal.SIGINT)  # handled in the main thread, wherever that is

    def interrupt() -> None:
        if armed:
            raise KeyboardInterrupt

    other = threading.Thread(target=publish_and_press_control_c, daemon=True)
    numbers = count()
    end = monotonic() + 1.0  # where threads take turns badly, the storm is smaller
    try:
        with switching_threads_often(), control_c(interrupt), interrupted_finalizers_ignored():
            other.start()
            while (interrupted < 1_000 or len(returned) < 200) and monotonic() < end:
                try:
                    armed = True
                    for number in islice(numbers, 1_000):
                        topic.publish(("here", number))
                        returned.append(number)
                    armed = False
                except KeyboardInterrupt:
                    armed = False
                    interrupted += 1
            done.set()
            other.join(PATIENCE)
    finally:
        done.set()
    assert not other.is_alive()
    assert interrupted
    topic.publish(("last", 0))
    assert len(topic._inbox) == 0
    assert topic._turn.free
    delivered: dict[str, list[int]] = {"here": [], "elsewhere": [], "last": []}
    with suppress(anyio.WouldBlock):
        while True:
            publisher, number = subscription.receive_nowait()
            delivered[publisher].append(number)
    assert delivered["last"] == [0]
    assert delivered["elsewhere"] == list(range(elsewhere))
    assert delivered["here"] == sorted(set(delivered["here"]))
    assert set(returned) <= set(delivered["here"])


class Called:
    """Stands where parkings stand that want to be called, and does something else then."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.call = callback


def publish_and_call(topic: Topic[Any], callback: Callable[[], object]) -> None:
    """Publish, and call back in the middle of that."""
    topic._waiting.queue.append(Called(callback))  # type: ignore[arg-type]
    topic.publish(None)


class Chain:
    """A payload that publishes the next one when it is freed."""

    def __init__(self, topic: Topic[Any], left: int, log: list[int]) -> None:
        self.topic = topic
        self.left = left
        self.log = log

    def __del__(self) -> None:
        self.log.append(self.left)
        if self.left:
            self.topic.publish(Chain(self.topic, self.left - 1, self.log))


def test_c3_c4_within_a_publish_payloads_publish_when_freed_ten_thousand_deep() -> None:
    topic = Topic[Any]("topic")
    log: list[int] = []
    # Nobody subscribes, so each is freed when it is linked, which is within the same publish.
    publish_and_call(topic, lambda: topic.publish(Chain(topic, 10_000, log)))
    assert log == list(range(10_000, -1, -1))
    assert topic.published == 10_002


def test_c3_payloads_that_publish_when_freed_may_be_dropped_with_their_subscription() -> None:
    topic = Topic[Any]("topic")
    log: list[int] = []
    subscription = topic.subscribe()
    for _ in range(100):
        topic.publish(Chain(topic, 1, log))
    witness = topic.subscribe()
    subscription.close()
    assert log == [1] * 100
    assert witness.lag == 100


@pytest.mark.parametrize("on_lag", ["raise", "skip"])
def test_p1_c3_payloads_that_publish_when_freed_may_be_cut_off(on_lag: OnLag) -> None:
    topic = Topic[Any]("topic", limit=8)
    log: list[int] = []
    stalled = topic.subscribe(on_lag=on_lag)
    for _ in range(200):
        topic.publish(Chain(topic, 1, log))  # publishes another when it is cut off
    assert topic.published == 200 + len(log) - log.count(0)
    assert log.count(1) > 80
    got = 0
    with suppress(anyio.WouldBlock):
        while True:
            with suppress(Lagged):
                stalled.receive_nowait()
                got += 1
    assert got >= 8
    assert stalled.received + stalled.missed == topic.published
    assert stalled.lag == 0


def test_p4_c4_within_a_publish_weak_references_callbacks_publish_ten_thousand_deep() -> None:
    topic = Topic[Any]("topic")
    references = []
    numbers = iter(range(10_000))

    class Payload:
        pass

    def publish(_: object = None) -> None:
        if next(numbers, None) is not None:
            payload = Payload()
            references.append(weakref.ref(payload, publish))
            topic.publish(payload)

    publish_and_call(topic, publish)
    assert topic.published == 10_001
    assert all(reference() is None for reference in references)


def test_p3_c4_what_a_callback_publishes_comes_after_what_called_it() -> None:
    topic = Topic[str]("topic")

    class Echo(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
            topic.publish("echo")
            return super().call_soon_threadsafe(*arguments, **keywords)

    subscription = topic.subscribe()
    loop = Echo()
    task = park_a_task(loop, topic)
    topic.publish("voice")
    assert let_end(loop, task) == "voice"
    assert [subscription.receive_nowait() for _ in range(2)] == ["voice", "echo"]


def test_p4_c4_sizeof_may_publish() -> None:
    def sizeof(value: str) -> int:
        if value == "outer":
            topic.publish("inner")
        return len(value)

    topic = Topic[str]("topic", sizeof=sizeof)
    subscription = topic.subscribe()
    topic.publish("outer")
    assert [subscription.receive_nowait() for _ in range(2)] == ["inner", "outer"]


# Forked processes.

FORK = """
    import os, sys, threading, warnings
    from driftline import Topic

    warnings.simplefilter("ignore", DeprecationWarning)  # "may lead to deadlocks in the child"
    sys.setswitchinterval(1e-6)
    topic = Topic("topic")
    waits = topic.subscribe()
    threading.Thread(target=waits.receive_blocking, daemon=True).start()
    while not any(parking.parked for parking in topic._waiting._parkings.values()):
        pass
    topic.publish(0)
    idle = Topic("idle")
    parked = threading.Thread(target=idle.subscribe().receive_blocking, daemon=True)
    parked.start()
    while not any(parking.parked for parking in idle._waiting._parkings.values()):
        pass
    stop = threading.Event()
    def publish():
        while not stop.is_set():
            topic.publish("parent")
    threading.Thread(target=publish, daemon=True).start()
    for number in range({times}):
        child = os.fork()
        if not child:
            import signal
            signal.alarm(10)
            reader = topic.subscribe()
            before = topic.published
            topic.publish("child")
            values = []
            while "child" not in values:
                values.append(reader.receive_blocking(timeout=5))
            assert len(values) <= 2, values  # one may have been in the parent's inbox
            {more}
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, (number, status)
    stop.set()
    topic.publish("end")
    print("done")
"""


def run_python(program: str, *, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_p4_b9_a_child_forked_while_another_thread_publishes_publishes_and_reads() -> None:
    done = run_python(FORK.format(times=50, more="pass"))
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_b9_a_child_wakes_its_own_threads_although_threads_of_its_parent_waited() -> None:
    more = """
            mine = idle.subscribe()
            got = []
            thread = threading.Thread(target=lambda: got.append(mine.receive_blocking(timeout=5)))
            thread.start()
            while not mine._reading:
                pass
            threading.Event().wait(0.05)  # now it waits
            idle.publish("to the child's thread")
            thread.join(4)
            assert got == ["to the child's thread"]
    """
    done = run_python(FORK.format(times=1, more=more.strip()))
    assert (done.stdout, done.stderr) == ("done\n", "")


CALLED = """
    import os
    import signal
    import threading
    from driftline import Topic
    from driftline._core.parking.on_threads import ThreadParking

    topic = Topic("topic")
    subscription = topic.subscribe()
    called, resume = threading.Event(), ThreadParking.resume

    def never_resume(parking):
        called.set()
        threading.Event().wait()

    ThreadParking.resume = never_resume
    reader = threading.Thread(target=subscription.receive_blocking, daemon=True)
    reader.start()
    parkings = topic._waiting._parkings
    while not any(parking.parked for parking in parkings.copy().values()):
        pass
    topic.publish("to the parent's thread")
    called.wait()

    child = os.fork()
    if child == 0:
        signal.alarm(20)
        ThreadParking.resume = resume
        mine = topic.subscribe()
        got = []
        thread = threading.Thread(target=lambda: got.append(mine.receive_blocking()))
        thread.start()
        while not any(parking.parked for parking in parkings.copy().values()):
            pass
        topic.publish("to the child's thread")
        thread.join()
        os._exit(got != ["to the child's thread"])
    print(os.waitpid(child, 0)[1])
    """


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_b9_a_child_wakes_its_own_threads_although_one_of_its_parent_was_just_called() -> None:
    done = run_python(CALLED)
    assert done.stdout == "0\n"


# Memory that runs out.

NO_MEMORY = """
    import sys
    import _testcapi
    import anyio
    from driftline import Topic

    outcomes = set()

    def attempt(number, stop):
        topic = Topic("topic")
        reader = topic.subscribe()
        {call}
        reader.skip(2)
        raised = False
        _testcapi.set_nomemory(number, stop)
        try:
            try:
                {call}
            finally:
                _testcapi.remove_mem_hooks()
        except MemoryError:
            raised = True
        topic.publish("after")
        values = []
        try:
            while True:
                values.append(reader.receive_nowait())
        except anyio.WouldBlock:
            pass
        outcomes.add(raised)
        expected = ["after"] if raised else [{values}, "after"]
        assert values == expected, (number, stop, raised, values)

    sys.unraisablehook = lambda unraisable: None
    for number in range(1, 60):
        attempt(number, number + 1)  # one allocation fails
        attempt(number, 0)  # all from there on
    assert outcomes == {{True, False}}
"""


@pytest.mark.parametrize(
    ("call", "values"), [("topic.publish(1)", "1"), ("topic.publish_many([1, 2])", "1, 2")]
)
def test_p4_c11_messages_are_linked_or_refused_whichever_allocation_fails(
    call: str, values: str
) -> None:
    pytest.importorskip("_testcapi")
    done = run_python(NO_MEMORY.format(call=call, values=values))
    assert (done.returncode, done.stderr) == (0, "")


# Behind 32 messages that wait for the turn, the inbox has to grow.
NO_MEMORY_TO_CLOSE = """
    import sys
    from itertools import product
    import _testcapi
    import anyio
    from driftline import Topic

    sys.unraisablehook = lambda unraisable: None
    for number, messages in product(range(1, 60), (0, 32)):
        for stop in (number + 1, 0):
            topic = Topic("topic")
            reader = topic.subscribe()
            Topic("other").close()
            if messages:
                del topic._turn.free
            for _ in range(messages):
                topic.publish(None)
            _testcapi.set_nomemory(number, stop)
            try:
                try:
                    topic.close()
                finally:
                    _testcapi.remove_mem_hooks()
                    topic._turn.free = True
            except MemoryError:
                topic.close()
            try:
                while True:
                    reader.receive_nowait()
            except anyio.EndOfStream:
                continue
            except anyio.WouldBlock:
                raise AssertionError((number, stop)) from None
"""


def test_p10_c11_a_topic_can_be_closed_again_when_closing_it_ran_out_of_memory() -> None:
    pytest.importorskip("_testcapi")
    done = run_python(NO_MEMORY_TO_CLOSE)
    assert (done.returncode, done.stderr) == (0, "")


# Flat cost.


class CountingLoop(asyncio.SelectorEventLoop):
    """A loop that counts how often it is called."""

    calls = 0

    def call_soon(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        self.calls += 1
        return super().call_soon(*arguments, **keywords)

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        self.calls += 1
        return super().call_soon_threadsafe(*arguments, **keywords)


class CountingUvloop(uvloop.Loop):
    """The same for uvloop."""

    calls = 0

    def call_soon(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        self.calls += 1
        return super().call_soon(*arguments, **keywords)

    def call_soon_threadsafe(self, *arguments: Any, **keywords: Any) -> Any:  # type: ignore[override]
        self.calls += 1
        return super().call_soon_threadsafe(*arguments, **keywords)


@pytest.mark.parametrize("readers", [1, 1_000])
@pytest.mark.parametrize("new_loop", [CountingLoop, CountingUvloop])
def test_p5_a_burst_calls_an_event_loop_once_whatever_the_number_of_readers(
    new_loop: type[CountingLoop | CountingUvloop], readers: int
) -> None:
    topic = Topic[int]("topic")
    received = 0

    async def read(subscription: Subscription[int]) -> None:
        nonlocal received
        async for _ in subscription:
            received += 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop | CountingUvloop)
        async with anyio.create_task_group() as tasks:
            for _ in range(readers):
                tasks.start_soon(read, topic.subscribe())
            for number, publish_burst in enumerate(bursts):
                while received < number * 10 * readers:
                    await checkpoint()
                await until_parked(topic, readers)
                before = loop.calls
                publish_burst()
                assert loop.calls == before + 1
            await until_parked(topic, readers)
            topic.close()

    def burst() -> None:
        for number in range(10):
            topic.publish(number)

    bursts: list[Callable[[], None]] = [burst, lambda: together(burst)]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(main(), PATIENCE))
    assert received == 20 * readers


@pytest.mark.parametrize("readers", [1, 1_000])
def test_p5_a_burst_calls_a_trio_run_once_whatever_the_number_of_readers(
    readers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic[int]("topic")
    received = calls = 0

    async def read(subscription: Subscription[int]) -> None:
        nonlocal received
        async for _ in subscription:
            received += 1

    def burst() -> None:
        for number in range(10):
            topic.publish(number)

    bursts: list[Callable[[], None]] = [burst, lambda: together(burst)]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def counting(*arguments: Any) -> object:
            nonlocal calls
            calls += 1
            return call(*arguments)

        return counting

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for _ in range(readers):
                    nursery.start_soon(read, topic.subscribe())
                for number, publish_burst in enumerate(bursts):
                    while received < number * 10 * readers:
                        await checkpoint()
                    await until_parked(topic, readers)
                    with monkeypatch.context() as patch:
                        for place, name in (
                            (trio.lowlevel.TrioToken, "run_sync_soon"),
                            (sys.modules["driftline._core.parking.on_trio"], "reschedule"),
                        ):
                            patch.setattr(place, name, counted(getattr(place, name)))
                        publish_burst()
                await until_parked(topic, readers)
                topic.close()

    trio.run(main)
    assert received == 20 * readers
    assert calls == 2


# The end.


def test_e4_each_publish_beside_a_close_is_delivered_or_raises() -> None:
    for _ in range(20):
        topic = Topic[Published]("topic")
        ledger = Ledger(topic)
        readers = [ledger.reader(name, topic.subscribe) for name in "ab"]
        meet = threading.Barrier(4)

        def publish(name: str, ledger: Ledger, meet: threading.Barrier) -> None:
            meet.wait(PATIENCE)
            with suppress(anyio.ClosedResourceError):
                while True:
                    ledger.publish(name)

        def close(topic: Topic[Published], ledger: Ledger, meet: threading.Barrier) -> None:
            meet.wait(PATIENCE)
            while len(ledger.accepted) < 100:
                pass
            topic.close()

        with switching_threads_often():
            together(
                lambda: publish("p", ledger, meet),  # noqa: B023 (they end before the next round)
                lambda: publish("q", ledger, meet),  # noqa: B023
                lambda: close(topic, ledger, meet),  # noqa: B023
                lambda: close(topic, ledger, meet),  # noqa: B023
            )
        for reader in readers:
            drain(reader)
        ledger.check()
        assert topic.published == len(ledger.accepted)
