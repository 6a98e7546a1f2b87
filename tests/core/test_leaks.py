"""P7 with limits, replay, resume and sending: messages die when the last has passed them.

By reference counting alone, and whatever is kept of exceptions. What goes without any of these is
in `test_freeing`.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from driftline import Lagged, OnLag, PositionLost, SlowConsumer, Subscription, Topic

PATIENCE = 10.0  # seconds after which a test that waits has failed
MANY = 30


@pytest.fixture(autouse=True)
def _by_reference_counting_alone() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Payload:
    """Something that can be seen to die."""


References = list[weakref.ref[Payload]]


def publish(topic: Topic[Any], messages: int = MANY) -> References:
    references = []
    for _ in range(messages):
        payload = Payload()
        references.append(weakref.ref(payload))
        topic.publish(payload)
    return references


def alive(references: References) -> int:
    return sum(reference() is not None for reference in references)


Ready = Callable[[Subscription[Any]], Awaitable[object]]


async def receive(subscription: Subscription[Any]) -> None:
    await subscription.receive()


async def iterate(subscription: Subscription[Any]) -> None:
    async for _ in subscription:
        break


async def receive_nowait(subscription: Subscription[Any]) -> None:
    subscription.receive_nowait()


async def receive_blocking(subscription: Subscription[Any]) -> None:
    subscription.receive_blocking(PATIENCE)


async def iterate_in_a_thread(subscription: Subscription[Any]) -> None:
    for _ in subscription:
        break


async def batches(subscription: Subscription[Any]) -> None:
    async for _ in subscription.batches():
        break


async def latest(subscription: Subscription[Any]) -> None:
    async for _ in subscription.latest():
        break


async def latest_by(subscription: Subscription[Any]) -> None:
    async for _ in subscription.latest_by(lambda _: 1):
        break


async def messages(subscription: Subscription[Any]) -> None:
    async for _ in subscription.messages():
        break


async def messages_in_a_thread(subscription: Subscription[Any]) -> None:
    for _ in subscription.messages():
        break


WAYS: list[Ready] = [
    receive,
    iterate,
    receive_nowait,
    receive_blocking,
    iterate_in_a_thread,
    batches,
    latest,
    latest_by,
    messages,
    messages_in_a_thread,
]


@pytest.mark.parametrize("take", WAYS)
@pytest.mark.parametrize("on_lag", ["raise", "close"])
@pytest.mark.parametrize("before", [0, 1])  # a checkpoint is at the first message, not the second
@pytest.mark.parametrize("limit", ["limit", "max_lag"])
async def test_p7_an_exception_kept_from_a_gap_keeps_no_message(
    take: Ready, on_lag: OnLag, before: int, limit: str
) -> None:
    topic = Topic[Any](limit=10 if limit == "limit" else None)
    subscription = topic.subscribe(max_lag=10 if limit == "max_lag" else None, on_lag=on_lag)
    for _ in range(before):
        topic.publish(None)
        await subscription.receive()
    references = publish(topic)
    assert alive(references) == (10 if limit == "limit" else MANY)
    with pytest.raises(Lagged if on_lag == "raise" else SlowConsumer) as kept:
        await take(subscription)
    assert kept.value.__traceback__ is not None
    assert alive(references) == (10 if on_lag == "raise" else 0)
    if on_lag == "raise":
        for left in reversed(range(10)):
            subscription.receive_nowait()
            assert alive(references) == left
    references += publish(topic, 1)
    subscription.close()
    assert alive(references) == 0


@pytest.mark.parametrize("take", WAYS)
@pytest.mark.parametrize("on_lag", ["skip", "latest"])
@pytest.mark.parametrize("limit", ["limit", "max_lag"])
async def test_p7_what_is_passed_over_in_silence_is_freed(
    take: Ready, on_lag: OnLag, limit: str
) -> None:
    topic = Topic[Any](limit=10 if limit == "limit" else None)
    subscription = topic.subscribe(max_lag=10 if limit == "max_lag" else None, on_lag=on_lag)
    references = publish(topic)
    await take(subscription)
    passed = subscription.position.seq
    assert subscription.missed == (MANY - 10 if on_lag == "skip" else MANY - 1)
    assert alive(references) == MANY - passed
    subscription.skip(MANY)
    assert alive(references) == 0


def by_skip(subscription: Subscription[Any]) -> None:
    subscription.skip(MANY)


def by_skip_to_latest(subscription: Subscription[Any]) -> None:
    subscription.skip_to_latest()
    subscription.receive_nowait()


def by_close(subscription: Subscription[Any]) -> None:
    subscription.close()


def by_a_forgotten_fork(subscription: Subscription[Any]) -> None:
    subscription.fork()
    subscription.close()


def by_a_fork_that_is_read(subscription: Subscription[Any]) -> None:
    fork = subscription.fork()
    subscription.close()
    fork.on_lag = "skip"
    for _ in range(10):
        fork.receive_nowait()


@pytest.mark.parametrize(
    "leave", [by_skip, by_skip_to_latest, by_close, by_a_forgotten_fork, by_a_fork_that_is_read]
)
def test_p7_what_a_gap_keeps_is_freed_by_whoever_leaves_it(
    leave: Callable[[Subscription[Any]], None],
) -> None:
    topic = Topic[Any](limit=10)
    first, second = topic.subscribe(), topic.subscribe()
    references = publish(topic)
    assert alive(references) == 10
    leave(first)
    assert alive(references) == 10  # for the second
    leave(second)
    assert alive(references) == 0


def test_p7_a_forgotten_reader_in_a_gap_frees_it() -> None:
    topic = Topic[Any](limit=10)
    subscription = topic.subscribe()
    references = publish(topic)
    assert alive(references) == 10
    del subscription
    assert alive(references) == 0


def test_p7_a_forgotten_topic_with_all_this_is_freed() -> None:
    topic = Topic[Any](limit=10, replay=5)
    topic.subscribe().park(1_000)
    subscription = topic.subscribe(replay=5)
    references = publish(topic)
    forgotten = weakref.ref(topic)
    del topic
    assert alive(references) == 10
    del subscription
    assert forgotten() is None
    assert alive(references) == 0


@pytest.mark.parametrize("take", WAYS)
async def test_p7_a_replayed_message_is_freed_when_replay_and_readers_have_passed_it(
    take: Ready,
) -> None:
    topic = Topic[Any](replay=1)
    references = publish(topic, 1)
    subscriptions = [topic.subscribe(replay=1) for _ in range(2)]
    for subscription in subscriptions:
        await take(subscription)
    assert alive(references) == 1
    topic.publish(None)
    assert alive(references) == 0


async def test_p7_a_replay_that_was_asked_for_and_not_read_is_freed() -> None:
    topic = Topic[Any](replay=5)
    references = publish(topic)
    topic.subscribe(replay=5)
    topic.subscribe(replay=5).close()
    with pytest.raises(ValueError, match="keeps 5 messages") as kept:
        topic.subscribe(replay=6)
    publish(topic, 5)
    assert kept.value.__traceback__ is not None
    assert alive(references) == 0


@pytest.mark.parametrize("take", WAYS)
async def test_p7_a_message_read_since_a_position_is_freed(take: Ready) -> None:
    topic = Topic[Any]()
    position = topic.subscribe().park(1_000)
    references = publish(topic, 1)
    subscription = topic.subscribe(since=str(position))
    await take(subscription)
    assert alive(references) == 1  # the place keeps it
    next(iter(topic._places)).until = 0.0
    topic.publish(None)
    assert alive(references) == 0


def test_p7_an_exception_kept_from_a_lost_position_keeps_no_message() -> None:
    topic = Topic[Any](replay=5)
    other = topic.subscribe()
    position = topic.subscribe().position
    topic.publish(None)
    parked = topic.subscribe()
    references = publish(topic)
    parked.park(1_000)
    with pytest.raises(PositionLost, match="too far back") as kept:
        topic.subscribe(since=position)
    with pytest.raises(PositionLost, match="ahead") as kept_too:
        topic.subscribe(since=f"{topic._epoch}.1000")
    assert alive(references) == MANY
    other.close()
    next(iter(topic._places)).until = 0.0
    references += publish(topic)
    publish(topic, 5)
    assert kept.value.__traceback__ is not None
    assert kept_too.value.__traceback__ is not None
    assert alive(references) == 0


def test_p7_an_exception_kept_from_parking_keeps_no_message() -> None:
    topic = Topic[Any]()
    subscription = topic.subscribe()
    references = publish(topic)
    with pytest.raises(ValueError, match="seconds") as kept:
        subscription.park(0)
    assert alive(references) == MANY
    subscription.close()
    assert kept.value.__traceback__ is not None
    assert alive(references) == 0


async def until_waiting(topic: Topic[Any], senders: int) -> None:
    with anyio.fail_after(PATIENCE):
        while len(topic._senders.queue) < senders:
            await checkpoint()


@pytest.mark.parametrize("take", WAYS)
async def test_p7_a_message_that_was_sent_is_freed(take: Ready) -> None:
    topic = Topic[Any](limit=1)
    subscription = topic.subscribe()
    references: References = []

    async def send() -> None:
        payload = Payload()
        references.append(weakref.ref(payload))
        await topic.send(payload)

    await send()
    ended = False
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await until_waiting(topic, 1)
            await take(subscription)
            assert references[0]() is None
        await take(subscription)
        ended = True
    assert ended
    assert alive(references) == 0


@pytest.mark.parametrize("error", [TimeoutError, anyio.ClosedResourceError])
async def test_p7_an_exception_kept_from_send_keeps_no_message_of_others(
    error: type[Exception],
) -> None:
    kept: pytest.ExceptionInfo[Exception]
    kept_too: pytest.ExceptionInfo[Exception]
    topic = Topic[Any](limit=1)
    subscription = topic.subscribe()
    references = publish(topic, 1)
    if error is TimeoutError:
        with pytest.raises(error) as kept, anyio.fail_after(0.001):
            await topic.send(None)
        with pytest.raises(error) as kept_too:
            topic.send_blocking(None, 0)
    else:
        topic.close()
        with pytest.raises(error) as kept:
            await topic.send(None)
        with pytest.raises(error) as kept_too:
            topic.send_blocking(None)
    await subscription.receive()
    assert kept.value.__traceback__ is not None
    assert kept_too.value.__traceback__ is not None
    assert alive(references) == 0
    assert not topic._senders.queue


async def test_p7_a_cancelled_send_keeps_nothing() -> None:
    topic = Topic[Any](limit=1)
    subscription = topic.subscribe()
    topic.publish(None)
    payload = Payload()
    reference = weakref.ref(payload)
    with anyio.move_on_after(0.001):
        await topic.send(payload)
        raise AssertionError("there was room")
    assert subscription.lag == 1
    del payload
    await checkpoint()  # event loops keep the exception for as long
    assert reference() is None


@pytest.mark.parametrize("take", WAYS)
async def test_p7_a_reader_cut_while_it_was_being_timed_out_keeps_no_message(take: Ready) -> None:
    if take in {receive_nowait, receive_blocking, iterate_in_a_thread, messages_in_a_thread}:
        return  # these do not wait here
    topic = Topic[Any](limit=2)
    subscription = topic.subscribe(on_lag="skip")
    with pytest.raises(TimeoutError) as kept, anyio.fail_after(0):
        await take(subscription)
    references = publish(topic)
    assert alive(references) == 2
    subscription.skip(MANY)
    assert kept.value.__traceback__ is not None
    assert alive(references) == 0
