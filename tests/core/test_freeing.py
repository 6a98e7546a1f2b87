"""P7 and P9: messages are freed when all have read them, and politely."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from textwrap import dedent
from time import monotonic
from typing import Any, Generic

import anyio
import pytest
from anyio.lowlevel import checkpoint

from driftline import Lagged, OnLag, Position, PositionLost, SlowConsumer, Subscription, Topic
from driftline._core.link import Link

PATIENCE = 30.0  # seconds, after which a test has failed
SLICE = 1_000  # messages that are freed in one turn of an event loop at most


@pytest.fixture(autouse=True)
def _by_reference_counting_alone() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Payload:
    """Something that can be seen to die."""


def alive(references: list[weakref.ref[Payload]]) -> int:
    return sum(reference() is not None for reference in references)


def publish(topic: Topic[Any], messages: int) -> list[weakref.ref[Payload]]:
    references = []
    for _ in range(messages):
        payload = Payload()
        references.append(weakref.ref(payload))
        topic.publish(payload)
    return references


async def until_parked(topic: Topic[Any], readers: int) -> None:
    with anyio.fail_after(PATIENCE):
        while sum(len(each.parked) for each in topic._waiting._parkings.values()) < readers:
            await checkpoint()


# Each way through the API takes, or passes over, what was published before: five messages.

FIVE = 5


async def by_receive(subscription: Subscription[Payload]) -> None:
    for _ in range(FIVE):
        await subscription.receive()


async def by_iteration(subscription: Subscription[Payload]) -> None:
    async for _ in subscription:
        if subscription.received == FIVE:
            break


async def by_receive_nowait(subscription: Subscription[Payload]) -> None:
    for _ in range(FIVE):
        subscription.receive_nowait()


async def by_receive_blocking(subscription: Subscription[Payload]) -> None:
    for _ in range(FIVE):
        subscription.receive_blocking()


async def by_iteration_in_a_thread(subscription: Subscription[Payload]) -> None:
    for _ in range(FIVE):
        next(subscription)


async def by_batches(subscription: Subscription[Payload]) -> None:
    async for batch in subscription.batches():
        assert len(batch) == FIVE
        break


async def by_small_batches(subscription: Subscription[Payload]) -> None:
    async for _ in subscription.batches(max_size=2):
        if subscription.received == FIVE:
            break


async def by_latest(subscription: Subscription[Payload]) -> None:
    async for _ in subscription.latest():
        break


async def by_latest_by(subscription: Subscription[Payload]) -> None:
    async for _ in subscription.latest_by(lambda _: 1):
        break


async def by_messages(subscription: Subscription[Payload]) -> None:
    async for message in subscription.messages():
        if message.seq == FIVE:
            break


async def by_skip(subscription: Subscription[Payload]) -> None:
    assert subscription.skip(FIVE) == FIVE


async def by_skip_to_latest(subscription: Subscription[Payload]) -> None:
    assert subscription.skip_to_latest() == FIVE - 1
    subscription.receive_nowait()


async def by_fork(subscription: Subscription[Payload]) -> None:
    fork = subscription.fork()
    await by_receive(subscription)
    await by_receive(fork)


async def by_a_forgotten_fork(subscription: Subscription[Payload]) -> None:
    subscription.fork()
    await by_receive(subscription)


async def by_close(subscription: Subscription[Payload]) -> None:
    subscription.close()


async def by_with(subscription: Subscription[Payload]) -> None:
    with subscription:
        await subscription.receive()


async def by_async_with(subscription: Subscription[Payload]) -> None:
    async with subscription:
        await subscription.receive()


async def by_failing_in_with(subscription: Subscription[Payload]) -> None:
    with suppress(ZeroDivisionError), subscription:
        async for _ in subscription:
            raise ZeroDivisionError


WAYS: list[Callable[[Subscription[Payload]], Awaitable[None]]] = [
    by_receive,
    by_iteration,
    by_receive_nowait,
    by_receive_blocking,
    by_iteration_in_a_thread,
    by_batches,
    by_small_batches,
    by_latest,
    by_latest_by,
    by_messages,
    by_skip,
    by_skip_to_latest,
    by_fork,
    by_a_forgotten_fork,
    by_close,
    by_with,
    by_async_with,
    by_failing_in_with,
]


@pytest.mark.parametrize("pass_all", WAYS)
async def test_p7_a_message_is_freed_when_the_last_subscription_has_passed_it(
    pass_all: Callable[[Subscription[Payload]], Awaitable[None]],
) -> None:
    topic = Topic[Payload]("topic")
    subscription, other = topic.subscribe(), topic.subscribe()
    references = publish(topic, FIVE)
    with anyio.fail_after(PATIENCE):
        await pass_all(subscription)
        assert alive(references) == FIVE
        await by_receive(other)
    assert alive(references) == 0


@pytest.mark.parametrize("close", [True, False])
async def test_p7_c9_a_closed_or_forgotten_subscription_frees_what_it_has_not_read(
    close: bool,
) -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)
    await subscription.receive()
    assert alive(references) == FIVE - 1
    if close:
        subscription.close()
    else:
        del subscription
    assert alive(references) == 0
    assert not topic.subscriptions()


def test_p7_without_a_subscription_a_message_is_freed_at_once() -> None:
    topic = Topic[Payload]("topic")
    assert alive(publish(topic, FIVE)) == 0


class Called:
    """Stands where parkings stand that want to be called, and does something else then."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.call = callback


@pytest.mark.parametrize("own", [1, 2])
def test_p7_a_publish_that_takes_long_keeps_no_message_of_others(own: int) -> None:
    """A publisher may lose the processor, or call a loop, just when its message is linked."""
    topic = Topic[Payload | None]("topic")
    queue: Any = topic._waiting.queue
    references: list[weakref.ref[Payload]] = []
    found: list[int] = []

    def publish_others() -> None:
        references.extend(publish(topic, FIVE))  # they are linked when this has returned
        queue.append(Called(lambda: found.append(alive(references))))

    queue.append(Called(publish_others))
    topic.publish_many([None] * own)
    assert found == [0]


def test_p7_without_a_subscription_many_messages_are_freed_at_once() -> None:
    topic = Topic[Payload]("topic")
    payloads = [Payload() for _ in range(FIVE)]
    references = [weakref.ref(payload) for payload in payloads]
    topic.publish_many(payloads)
    del payloads
    assert alive(references) == 0


def test_p7_a_closed_topic_frees_each_message_when_it_is_read() -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)
    topic.close()
    for left in reversed(range(FIVE)):
        subscription.receive_nowait()
        assert alive(references) == left
    with pytest.raises(anyio.EndOfStream) as end:
        subscription.receive_nowait()
    assert end.value.__traceback__ is not None


def test_p7_a_refused_message_is_not_kept() -> None:
    topic = Topic[Payload]("topic")
    topic.close()
    payload = Payload()
    reference = weakref.ref(payload)
    with suppress(anyio.ClosedResourceError):
        topic.publish(payload)
    del payload
    assert reference() is None


def test_p7_a_forgotten_topic_is_freed_with_its_subscriptions() -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)
    forgotten = weakref.ref(topic)
    del topic
    subscription.receive_nowait()
    del subscription
    assert forgotten() is None
    assert alive(references) == 0


async def test_p7_an_exception_kept_from_a_cancelled_reader_keeps_no_message() -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    kept: list[BaseException] = []

    async def read() -> None:
        try:
            await subscription.receive()
        except BaseException as error:
            kept.append(error)
            raise

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until_parked(topic, 1)
            tasks.cancel_scope.cancel()
        assert kept[0].__traceback__ is not None
        references = publish(topic, FIVE)
        await by_receive(subscription)
    assert alive(references) == 0


async def test_p7_an_exception_kept_from_a_reader_cancelled_at_a_checkpoint_keeps_no_message() -> (
    None
):
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)
    kept: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await subscription.receive()
        except BaseException as error:
            kept.append(error)
            raise
    assert kept[0].__traceback__ is not None
    assert alive(references) == FIVE
    await by_receive(subscription)
    assert alive(references) == 0


@pytest.mark.parametrize("read", [by_receive, by_iteration, by_latest, by_batches, by_messages])
async def test_p7_an_exception_kept_from_a_timed_out_reader_keeps_no_message(
    read: Callable[[Subscription[Payload]], Awaitable[None]],
) -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    with pytest.raises(TimeoutError) as kept, anyio.fail_after(0):
        await read(subscription)
    assert kept.value.__traceback__ is not None
    references = publish(topic, FIVE)
    subscription.skip(FIVE)
    assert alive(references) == 0


@pytest.mark.parametrize("error", [anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError])
def test_p7_an_exception_kept_from_receive_nowait_keeps_no_message(error: type[Exception]) -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    if error is anyio.ClosedResourceError:
        subscription.close()
    if error is anyio.EndOfStream:
        topic.close()
    with pytest.raises(error) as kept:
        subscription.receive_nowait()
    assert kept.value.__traceback__ is not None
    if error is anyio.WouldBlock:
        references = publish(topic, FIVE)
        subscription.skip(FIVE)
        assert alive(references) == 0


def test_p7_an_exception_kept_from_a_key_function_keeps_no_message_once_it_was_passed() -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)

    def refuse(_: Payload) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(subscription.latest_by(refuse))
    assert subscription.lag == FIVE  # none was consumed
    subscription.skip(FIVE)
    assert alive(references) == 0


async def test_p7_c6_a_broken_off_iteration_keeps_only_what_was_not_read_until_close() -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, FIVE)
    async for _ in subscription:
        break
    del _
    assert alive(references) == FIVE - 1
    references += publish(topic, 10_000)
    subscription.close()
    with anyio.fail_after(PATIENCE):
        while alive(references):
            await checkpoint()
    assert alive(publish(topic, FIVE)) == 0


async def test_p7_c7_a_kept_traceback_of_the_loops_body_keeps_nothing_after_close() -> None:
    topic = Topic[Payload]("topic")
    references = publish(topic, 0)
    kept: list[BaseException] = []

    async def serve() -> None:
        with topic.subscribe() as subscription:
            references.extend(publish(topic, FIVE))
            async for _ in subscription:
                del _
                raise ZeroDivisionError

    try:
        await serve()
    except ZeroDivisionError as error:
        kept.append(error)
    assert alive(references) == 0
    assert alive(publish(topic, FIVE)) == 0
    assert kept[0].__traceback__ is not None


def test_p7_c8_a_subscription_read_on_a_loop_may_be_forgotten_without_one(
    anyio_backend: tuple[str, dict[str, Any]], recwarn: pytest.WarningsRecorder
) -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe()
    references = publish(topic, 2 * FIVE)
    name, options = anyio_backend
    anyio.run(by_receive, subscription, backend=name, backend_options=options)
    reference = weakref.ref(subscription)
    del subscription
    assert reference() is None
    assert alive(references) == 0
    assert not recwarn  # nothing has to be closed, so nothing warns


async def test_p7_c9_a_reader_that_ends_frees_its_subscription_by_reference_counting() -> None:
    topic = Topic[Payload]("topic")
    dead: list[weakref.ref[Subscription[Payload]]] = []

    async def read() -> None:
        subscription = topic.subscribe()
        dead.append(weakref.ref(subscription))
        await subscription.receive()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(FIVE):
                tasks.start_soon(read)
            await until_parked(topic, FIVE)
            references = publish(topic, 2)
            while any(reference() is not None for reference in dead):
                await checkpoint()
    assert alive(references) == 0


def test_p7_c9_d9_ten_thousand_come_and_go_and_leave_nothing() -> None:
    topic = Topic[Payload]("topic")
    for _ in range(10_000):
        with topic.subscribe():
            topic.publish(Payload())
    gc.enable()
    assert not topic._subscriptions
    assert not topic.subscriptions()


# Long chains.


def run_python(program: str, patience: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


def test_p9_c5_two_million_pending_messages_are_dropped_in_a_thread_with_a_small_stack() -> None:
    program = """
        import threading
        from driftline import Topic

        topic = Topic("topic")
        subscription = topic.subscribe()
        hundred_thousand = [None] * 100_000
        for _ in range(20):
            topic.publish_many(hundred_thousand)
        assert subscription.lag == 2_000_000

        def drop():
            global subscription
            del subscription

        threading.stack_size(64 * 1024)
        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()
        assert not topic.subscriptions()
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


WAYS_TO_DROP = {
    "close": "subscription.close()",
    "forget": "del subscription",
    "skip": "subscription.skip(LAG)",
    "skip_to_latest": "subscription.skip_to_latest()",
    "batch": "next(subscription.batches(max_size=LAG))",
    "publish many that nobody reads": "Topic('other').publish_many([None] * LAG)",
    "finish a closed topic": "topic.close(); subscription.skip(LAG)",
    "close the parent of a fork": "fork = subscription.fork(); subscription.close(); fork.close()",
    "read lag while another closes": "age = subscription.lag_seconds; subscription.close()",
    "limit the topic": "topic.limit = 1; topic.publish(None)",
    "tolerate less": "subscription.max_lag, subscription.on_lag = 1, 'skip'; next(subscription)",
    "take the latest": "x = subscription; x.max_lag, x.on_lag = 1, 'latest'; next(x)",
}


@pytest.mark.parametrize("drop", WAYS_TO_DROP.values(), ids=WAYS_TO_DROP)
def test_p9_c5_no_way_to_drop_a_long_backlog_overflows_a_small_stack(drop: str) -> None:
    program = f"""
        import threading
        from driftline import Topic

        LAG = 200_000

        def drop():
            topic = Topic("topic")
            subscription = topic.subscribe()
            topic.publish_many([None] * LAG)
            {drop}

        threading.stack_size(64 * 1024)
        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


WAYS_TO_WALK = {
    "batches": "for _ in subscription.batches(max_size=7_000): pass",
    "skip": "while subscription.skip(7_000): pass",
    "skip all": "subscription.skip(LAG)",
    "iteration": "for _ in subscription: pass",
}
WAYS_TO_CLOSE = {
    "another thread": "reached.set()",
    "a finalizer": "subscription.close(); reached.set()",
}


@pytest.mark.parametrize("close", WAYS_TO_CLOSE.values(), ids=WAYS_TO_CLOSE)
@pytest.mark.parametrize("walk", WAYS_TO_WALK.values(), ids=WAYS_TO_WALK)
def test_p9_c3_c5_closing_amid_a_walk_overflows_no_small_stack(walk: str, close: str) -> None:
    """Whoever is last to refer to the chain, the walker or who closes, frees it link by link."""
    program = f"""
        import sys, threading, weakref
        import anyio
        from driftline import Topic

        LAG = 60_000

        class Mark:
            def __del__(self):
                {close}

        def walk():
            try:
                {walk}
            except anyio.ClosedResourceError:
                pass

        def close():
            assert reached.wait({PATIENCE})
            subscription.close()

        sys.setswitchinterval(1e-6)
        threading.stack_size(64 * 1024)
        for _ in range(10):
            topic = Topic("topic")
            subscription = topic.subscribe()
            reached = threading.Event()
            for _ in range(6):  # each in another batch, and much behind the last
                topic.publish_many([None] * (LAG // 12))
                topic.publish(Mark())
            topic.publish_many([None] * (LAG // 2))
            last = Mark()
            topic.publish(last)
            last = weakref.ref(last)
            threads = [threading.Thread(target=each, daemon=True) for each in (walk, close)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join({PATIENCE})
                assert not thread.is_alive()
            assert subscription.closed
            assert last() is None
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_p9_c5_threads_with_small_stacks_publish_what_nobody_reads() -> None:
    """A publisher that lost its turn for a while may hold the first of many dead links."""
    program = """
        import sys, threading
        from driftline import Topic

        topic = Topic("topic")

        def publish():
            for number in range(30_000):
                topic.publish(number)

        threading.stack_size(64 * 1024)
        threads = [threading.Thread(target=publish) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert topic.published == 120_000
    """
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


def kinds_of(link: type[Link[Any]]) -> Iterator[type[Link[Any]]]:
    yield link
    for kind in link.__subclasses__():
        yield from kinds_of(kind)


def test_c12_links_are_of_types_whose_chains_python_can_free() -> None:
    """What is written in C may free a chain by calling itself; a class in Python does not."""
    # Other tests have kinds of their own.
    kinds = [kind for kind in kinds_of(Link) if kind.__module__.startswith("driftline")]
    assert {kind.__name__ for kind in kinds} >= {"Link", "Milestone", "Copy", "Gap"}
    for kind in kinds:
        written_in_python = [each for each in kind.__mro__ if each not in {Generic, object}]
        assert {type(each) for each in written_in_python} == {type}
        assert {each.__module__ for each in written_in_python} == {Link.__module__}
    program = f"""
        from driftline._core.link import Copy, Gap, Link, Milestone

        for kind, way in ((Link, "next"), (Milestone, "next"), (Copy, "next"), (Gap, "kept")):
            chain = kind.__new__(kind)
            for _ in range({100_000}):
                link = kind.__new__(kind)
                setattr(link, way, chain)
                chain = link
            del link
            del chain
            print(kind.__name__)
    """
    done = run_python(program)
    names = "Link", "Milestone", "Copy", "Gap"
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [*names], "")


@pytest.mark.parametrize("loop", ["no loop", "asyncio", "uvloop", "trio"])
def test_c10_the_interpreter_shuts_down_in_silence_with_a_long_backlog(loop: str) -> None:
    program = """
        import sys
        import anyio
        from driftline import Topic

        class Publishes:
            def __init__(self):
                self.topic = topic
            def __del__(self):
                self.topic.publish(1)

        topic = Topic("topic")
        subscription = topic.subscribe()
        iteration = iter(subscription.batches())
        topic.publish_many(range(100_000))
        topic.publish(Publishes())
        cycle = [topic.subscribe()]
        cycle.append(cycle)
        topic.publish_many(range(100_000))

        async def leave_in_the_middle():
            await subscription.receive()
            other = subscription.fork()
            subscription.close()
            del other
    """
    runs = {
        "no loop": "subscription.receive_nowait()",
        "asyncio": "anyio.run(leave_in_the_middle)",
        "uvloop": "anyio.run(leave_in_the_middle, backend_options={'use_uvloop': True})",
        "trio": "anyio.run(leave_in_the_middle, backend='trio')",
    }
    done = run_python(dedent(program) + runs[loop])
    assert (done.returncode, done.stderr) == (0, "")


# Politeness.


class Counted:
    """A payload that counts the living."""

    living = 0

    def __init__(self) -> None:
        Counted.living += 1

    def __del__(self) -> None:
        Counted.living -= 1


def close(subscription: Subscription[Any]) -> None:
    subscription.close()


def skip(subscription: Subscription[Any]) -> None:
    subscription.skip(20_000)


def skip_to_latest(subscription: Subscription[Any]) -> None:
    subscription.skip_to_latest()
    subscription.skip(1)


def limit(subscription: Subscription[Any]) -> None:
    subscription.topic.limit = 1
    subscription.topic.publish(None)


def tolerate_less(subscription: Subscription[Any]) -> None:
    subscription.max_lag, subscription.on_lag = 1, "skip"
    subscription.receive_nowait()


def take_the_latest(subscription: Subscription[Any]) -> None:
    subscription.max_lag, subscription.on_lag = 1, "latest"
    subscription.receive_nowait()


@pytest.mark.parametrize(
    "drop", [close, skip, skip_to_latest, limit, tolerate_less, take_the_latest, "forget"]
)
async def test_p9_an_event_loop_frees_a_backlog_in_slices_between_which_others_run(
    drop: Callable[[Subscription[Any]], None] | str,
) -> None:
    Counted.living = 0
    topic = Topic[Counted]("topic")
    subscription = topic.subscribe()
    topic.publish_many([Counted() for _ in range(20_000)])
    assert Counted.living == 20_000
    if callable(drop):
        drop(subscription)
    del subscription
    with anyio.fail_after(PATIENCE):
        before = 20_000
        while before:
            assert before - Counted.living <= 2 * SLICE  # on either side of the turn of this task
            before = Counted.living
            await checkpoint()


async def test_p9_a_reader_that_waits_frees_what_it_does_not_tolerate_in_slices() -> None:
    Counted.living = 0
    topic = Topic[Counted]("topic")
    subscription = topic.subscribe(max_lag=1, on_lag="skip")
    topic.publish(Counted())
    assert isinstance(await subscription.receive(), Counted)  # its loop is known from now on
    topic.publish_many([Counted() for _ in range(20_000)])
    assert isinstance(await subscription.receive(), Counted)
    assert subscription.missed == 19_999
    assert Counted.living >= 20_000 - 2 * SLICE
    with anyio.fail_after(PATIENCE):
        while Counted.living:
            await checkpoint()


async def test_p9_a_replay_frees_what_has_become_too_old_in_slices() -> None:
    Counted.living = 0
    topic = Topic[Any]("topic", replay_seconds=1e-9)
    topic.publish_many([Counted() for _ in range(20_000)])
    assert Counted.living == 20_000
    topic.publish(None)
    assert Counted.living >= 20_000 - 3 * SLICE
    with anyio.fail_after(PATIENCE):
        while Counted.living:
            await checkpoint()


async def test_p9_many_milestones_are_forgotten_in_steps_when_a_limit_is_lowered() -> None:
    Counted.living = 0
    topic = Topic[Any]("topic", limit=100_000)
    subscription = topic.subscribe(on_lag="skip")
    for _ in range(20_000):
        topic.publish(Counted())
    marks = topic._limits.milestones._marks
    assert len(marks) > 600
    topic.limit = 100
    topic.publish(Counted())
    assert len(marks) > 300
    with anyio.fail_after(PATIENCE):
        while Counted.living > 164:  # the limit, and twice the distance when they were placed
            await checkpoint()
    for _ in range(200):
        topic.publish(Counted())
    assert len(marks) <= 20
    assert 100 <= Counted.living <= 112
    assert subscription.lag == 20_201
    subscription.receive_nowait()
    assert subscription.missed + subscription.received + subscription.lag == 20_201


async def test_p9_many_dead_milestones_are_forgotten_in_steps() -> None:
    topic = Topic[Any]("topic", limit=100_000)
    subscription = topic.subscribe()
    for _ in range(20_000):
        topic.publish(Payload())
    marks = topic._limits.milestones._marks
    subscription.close()
    while any(reference() for _, reference in list(marks)[:-1]):
        await checkpoint()
    topic.publish_many([None] * 32)
    assert len(marks) > 100
    for _ in range(2):
        topic.publish_many([None] * 32)
    assert len(marks) <= 4


@pytest.mark.once
@pytest.mark.parametrize("drop", [close, "forget"])
async def test_p9_others_run_a_thousand_times_while_a_million_messages_are_dropped(
    drop: Callable[[Subscription[Any]], None] | str,
) -> None:
    topic = Topic[Any]("topic")
    subscription = topic.subscribe()
    hundred_thousand = [None] * 100_000
    for _ in range(10):
        topic.publish_many(hundred_thousand)
    last = Payload()
    reference = weakref.ref(last)
    topic.publish(last)
    del last
    longest = 0.0
    turns = 0
    if callable(drop):
        drop(subscription)
    del subscription
    with anyio.fail_after(PATIENCE):
        while reference() is not None:
            before = monotonic()
            await checkpoint()
            longest = max(longest, monotonic() - before)
            turns += 1
    assert turns >= 1_000_000 // SLICE // 2
    assert longest < 0.25  # it is less than a millisecond, but machines are busy


def test_p9_an_event_loop_may_end_while_a_backlog_is_being_freed(
    anyio_backend: tuple[str, dict[str, Any]],
) -> None:
    Counted.living = 0
    topic = Topic[Counted]("topic")

    async def end_at_once() -> None:
        subscription = topic.subscribe()
        topic.publish_many([Counted() for _ in range(20_000)])
        subscription.close()

    name, options = anyio_backend
    anyio.run(end_at_once, backend=name, backend_options=options)
    gc.collect()
    assert Counted.living == 0


async def heartbeat(subscription: Subscription[Any], gaps: list[int]) -> None:
    """Write down how many messages were read between two turns of this task."""
    before = subscription.received
    while True:
        await checkpoint()
        gaps.append(subscription.received - before)
        before = subscription.received


async def read_one_by_one(subscription: Subscription[Any]) -> None:
    async for _ in subscription:
        pass


async def read_with_receive(subscription: Subscription[Any]) -> None:
    with suppress(anyio.EndOfStream):
        while True:
            await subscription.receive()


async def read_messages(subscription: Subscription[Any]) -> None:
    async for _ in subscription.messages():
        pass


async def read_batches(subscription: Subscription[Any]) -> None:
    async for _ in subscription.batches(max_size=100):
        pass


@pytest.mark.once
@pytest.mark.parametrize("read", [read_one_by_one, read_with_receive, read_messages, read_batches])
async def test_p9_d6_a_reader_with_a_backlog_lets_others_run_every_128_messages(
    read: Callable[[Subscription[Any]], Awaitable[None]],
) -> None:
    topic = Topic[Any]("topic")
    subscription = topic.subscribe()
    topic.publish_many([None] * 100_000)
    topic.close()
    gaps: list[int] = []
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heartbeat, subscription, gaps)
            await read(subscription)
            tasks.cancel_scope.cancel()
    assert subscription.received == 100_000
    assert max(gaps) <= 2 * 128  # trio may run the reader last in one round and first in the next
    assert len(gaps) >= 100_000 // 128 // 2


@pytest.mark.parametrize("view", ["batches", "latest_by"])
async def test_p9_other_ways_to_read_a_backlog_let_others_run_every_ten_thousand(view: str) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    topic.publish_many(range(100_000))
    topic.close()
    positions: list[int] = []

    async def watch() -> None:
        while True:
            positions.append(subscription.position.seq)
            await checkpoint()

    views: dict[str, Any] = {
        "batches": subscription.batches(),
        "latest_by": subscription.latest_by(lambda value: value % 2),
    }
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            async for _ in views[view]:
                pass
            tasks.cancel_scope.cancel()
    steps = [later - earlier for earlier, later in pairwise(positions)]
    assert max(steps) <= 2 * 10_001
    assert sum(step > 0 for step in steps) >= 3


@pytest.mark.parametrize("read", [read_one_by_one, read_with_receive, read_messages])
async def test_p9_d7_a_reader_that_publishes_what_it_reads_can_be_timed_out(
    read: Callable[[Subscription[Any]], Awaitable[None]],
) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    topic.publish(0)

    end = monotonic() + 5

    def publish_again(value: int) -> None:
        assert monotonic() < end, "nobody else had a turn"
        topic.publish(value)

    async def echo() -> None:
        if read is read_with_receive:
            while True:
                publish_again(await subscription.receive())
        if read is read_messages:
            async for message in subscription.messages():
                publish_again(message.value)
        async for value in subscription:
            publish_again(value)

    with anyio.move_on_after(0.05) as scope:
        await echo()
    assert scope.cancelled_caught
    assert subscription.lag == 1 or subscription.received == topic.published


# An error that is kept, with its traceback, keeps no messages.


@pytest.mark.parametrize("on_lag", ["raise", "close"])
@pytest.mark.parametrize("in_task", [True, False])
@pytest.mark.parametrize("received", [0, 1])
async def test_p7_whoever_keeps_the_error_of_a_slow_reader_keeps_no_message(
    on_lag: OnLag, in_task: bool, received: int
) -> None:
    topic = Topic[Payload]("topic")
    subscription = topic.subscribe(max_lag=3, on_lag=on_lag)
    for _ in range(received):  # otherwise the next would be a checkpoint, which lets go of it
        publish(topic, 1)
        await subscription.receive()
    references = publish(topic, 5)
    with pytest.raises((Lagged, SlowConsumer)) as caught:
        await subscription.receive() if in_task else subscription.receive_nowait()
    subscription.close()
    assert alive(references) == 0
    assert caught.value.missed == 2


@pytest.mark.parametrize("replay", [0, 2])
@pytest.mark.parametrize("seq", [0, 100])
def test_p7_whoever_keeps_the_error_of_a_lost_position_keeps_no_message(
    replay: int, seq: int
) -> None:
    topic = Topic[Payload]("topic", replay=replay)
    subscription = topic.subscribe()
    publish(topic, 5)
    with pytest.raises(PositionLost) as caught:
        topic.subscribe(since=Position(subscription.position.epoch, seq))
    subscription.close()
    references = publish(topic, 5)
    assert alive(references) == replay
    assert caught.value.missed == (None if seq else 5 - replay)
