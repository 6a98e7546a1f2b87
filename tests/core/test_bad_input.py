"""Bad input gets an error that says what to do, loses nothing, and is noticed by nobody else."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from driftline import Subscription, Topic


def test_e2_publishing_on_a_closed_topic_is_refused() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    topic.publish(1)
    topic.close()
    with pytest.raises(anyio.ClosedResourceError, match="'prices' was closed"):
        topic.publish(2)
    for several in ([2, 3], []):
        with pytest.raises(anyio.ClosedResourceError, match="'prices' was closed"):
            topic.publish_many(several)
    assert topic.published == 1
    assert list(subscription) == [1]


def test_e4_closing_twice_changes_nothing() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    topic.close()
    topic.close(ValueError("ignored"))
    with pytest.raises(anyio.EndOfStream):
        subscription.receive_nowait()
    subscription.close()
    subscription.close()


@pytest.mark.parametrize("error", [ValueError, "text", 3])
def test_a_topic_closes_with_an_exception_or_nothing(error: Any) -> None:
    topic = Topic[int]("prices")
    with pytest.raises(TypeError, match="an exception"):
        topic.close(error)
    assert not topic.closed


READS: dict[str, Callable[[Subscription[int]], object]] = {
    "receive_nowait": lambda subscription: subscription.receive_nowait(),
    "receive_blocking": lambda subscription: subscription.receive_blocking(),
    "receive_blocking in time": lambda subscription: subscription.receive_blocking(timeout=1),
    "next": next,
    "batches": lambda subscription: next(subscription.batches()),
    "latest": lambda subscription: next(subscription.latest()),
    "messages": lambda subscription: next(subscription.messages()),
    "skip": lambda subscription: subscription.skip(1),
    "skip_to_latest": lambda subscription: subscription.skip_to_latest(),
    "fork": lambda subscription: subscription.fork(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_closed_subscription_refuses_everything(
    read: Callable[[Subscription[int]], object],
) -> None:
    topic = Topic[int]("prices")
    subscription, other = topic.subscribe(name="ada"), topic.subscribe()
    topic.publish(1)
    subscription.close()
    with pytest.raises(anyio.ClosedResourceError, match="'ada'"):
        read(subscription)
    assert other.receive_nowait() == 1


async def test_a_closed_subscription_refuses_tasks() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    topic.publish(1)
    await subscription.receive()  # so that it has waited on this loop before
    subscription.close()
    for read in (
        subscription.receive,
        subscription.__anext__,
        subscription.batches().__anext__,
        subscription.messages().__anext__,
    ):
        with pytest.raises(anyio.ClosedResourceError):
            await read()


WRONG: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "skip(-1)": (lambda reader: reader.skip(-1), ValueError, "0 or more"),
    "skip(1.5)": (lambda reader: reader.skip(1.5), TypeError, "an int"),
    "skip(True)": (lambda reader: reader.skip(True), TypeError, "an int"),
    "batches(0)": (lambda reader: reader.batches(0), ValueError, "1 or more"),
    "batches('all')": (lambda reader: reader.batches("all"), TypeError, "an int"),
    "latest_by('symbol')": (lambda reader: reader.latest_by("symbol"), TypeError, "a function"),
    "fork(name=3)": (lambda reader: reader.fork(name=3), TypeError, "text"),
    "subscribe(name=3)": (lambda reader: reader.topic.subscribe(name=3), TypeError, "text"),
}


@pytest.mark.parametrize(("call", "error", "hint"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_refused_at_the_call(
    call: Callable[[Any], object], error: type[Exception], hint: str
) -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    topic.publish(1)
    with pytest.raises(error, match=hint):
        call(subscription)
    assert subscription.receive_nowait() == 1


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
def test_a_timeout_that_is_over_does_not_wait(timeout: float) -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    with pytest.raises(TimeoutError, match="no message"):
        subscription.receive_blocking(timeout)
    topic.publish(1)
    assert subscription.receive_blocking(timeout) == 1


@pytest.mark.parametrize(
    ("timeout", "error"), [(math.nan, ValueError), ("1", TypeError)], ids=["nan", "text"]
)
def test_a_timeout_is_a_number(timeout: Any, error: type[Exception]) -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    with pytest.raises(error):
        subscription.receive_blocking(timeout)
    topic.publish(1)
    assert subscription.receive_blocking() == 1


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ({"name": 3}, TypeError, "text"),
        ({"name": "prices", "sizeof": 8}, TypeError, "a function"),
    ],
    ids=["name", "sizeof"],
)
def test_a_topic_says_what_it_takes(
    arguments: dict[str, Any], error: type[Exception], hint: str
) -> None:
    with pytest.raises(error, match=hint):
        Topic(**arguments)


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (-1, ValueError),
        (10**400, ValueError),
        (1.5, TypeError),
        (None, TypeError),
        ("3", TypeError),
    ],
    ids=["negative", "huge", "1.5", "None", "text"],
)
def test_e12_a_sizeof_that_returns_nonsense_publishes_nothing(
    size: Any, error: type[Exception]
) -> None:
    sizes: list[Any] = [2, size, 3]
    topic = Topic[int]("prices", sizeof=lambda _: sizes.pop(0))
    subscription = topic.subscribe()
    topic.publish(1)
    with pytest.raises(error, match="sizeof"):
        topic.publish(2)
    topic.publish(3)
    assert (topic.published, subscription.lag_bytes) == (2, 5)
    assert [subscription.receive_nowait() for _ in range(2)] == [1, 3]
    sizes = [1, size, 1]
    with pytest.raises(error, match="sizeof"):
        topic.publish_many([4, 5, 6])
    assert subscription.lag == 0


def test_e12_a_sizeof_that_raises_publishes_nothing() -> None:
    topic = Topic[Any]("prices", sizeof=len)
    subscription = topic.subscribe()
    with pytest.raises(TypeError, match="len"):
        topic.publish(3)
    with pytest.raises(TypeError, match="len"):
        topic.publish_many(["a", 3])
    topic.publish("ok")
    assert subscription.lag == 1


def test_publish_many_takes_all_or_nothing_of_an_iterable_that_raises() -> None:
    def values() -> Any:
        yield 1
        topic.publish(0)  # publishing meanwhile comes before
        raise OSError("the file is gone")

    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    with pytest.raises(OSError, match="gone"):
        topic.publish_many(values())
    assert subscription.receive_nowait() == 0
    assert subscription.lag == 0


async def coroutine() -> None:
    raise AssertionError("nobody awaits a payload")


@pytest.mark.parametrize(
    "payload",
    [
        *(None, 0, 0.0, "", b"", [], False, ValueError, ..., NotImplemented),
        *(StopIteration(1), StopAsyncIteration(), GeneratorExit(), KeyError("payload")),
    ],
    ids=repr,
)
async def test_e5_e6_any_object_is_a_value(payload: object) -> None:
    topic = Topic[object]("anything")
    subscriptions = [topic.subscribe() for _ in range(7)]
    topic.publish(payload)
    topic.close()
    first, second, third, fourth, fifth, sixth, seventh = subscriptions
    assert await first.receive() is payload
    assert [value async for value in second] == [payload]
    assert third.receive_nowait() is payload
    assert list(fourth) == [payload]
    assert await anext(fifth.batches()) == [payload]
    assert await anext(sixth.latest()) is payload
    assert (await anext(seventh.messages())).value is payload


async def test_e6_a_coroutine_is_a_value() -> None:
    payload = coroutine()
    topic = Topic[object]("anything")
    subscription = topic.subscribe()
    topic.publish(payload)
    assert await subscription.receive() is payload
    payload.close()


async def test_e7_a_value_is_passed_on_not_copied() -> None:
    topic = Topic[list[int]]("mutable")
    first, second = topic.subscribe(), topic.subscribe()
    value = [1]
    topic.publish(value)
    assert await first.receive() is value
    assert await second.receive() is value


async def test_reading_in_a_blocking_way_on_an_event_loop_says_what_to_do() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    with pytest.raises(RuntimeError, match=r"await receive\(\)"):
        subscription.receive_blocking()
    with pytest.raises(RuntimeError, match="async for"):
        next(subscription)
    topic.publish(1)
    assert subscription.receive_blocking() == 1  # it does not have to wait


def test_awaiting_without_an_event_loop_says_so() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    step = subscription.receive()
    with pytest.raises(RuntimeError, match="no running event loop"):
        step.send(None)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_topics_and_subscriptions_are_not_copied(duplicate: Callable[[object], object]) -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    for original in (topic, subscription):
        with pytest.raises(TypeError, match="cannot be copied"):
            duplicate(original)
    topic.publish(1)
    assert subscription.receive_nowait() == 1


def test_a_subscription_is_made_by_a_topic() -> None:
    with pytest.raises(TypeError, match="missing"):
        Subscription(Topic[int]("prices"))  # type: ignore[call-arg]


def test_a_key_that_reads_the_subscription_is_told_so() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe()
    topic.publish_many(range(10))
    with pytest.raises(RuntimeError, match="latest_by"):
        next(subscription.latest_by(lambda value: subscription.skip(1)))
    assert subscription.lag + subscription.skipped == 10


# Limits, replay and resume.

NO_LIMIT: list[tuple[Any, type[Exception]]] = [
    *((number, ValueError) for number in (0, -1, -(10**400), 10**400)),
    *((wrong, TypeError) for wrong in list[Any](["10", b"1", True, False, [], 1j, object])),
]
NO_COUNT: list[tuple[Any, type[Exception]]] = [
    *NO_LIMIT,
    *((wrong, TypeError) for wrong in (1.5, math.nan, math.inf, -math.inf, 0.0)),
]
NO_SECONDS: list[tuple[Any, type[Exception]]] = [
    *NO_LIMIT,
    *((wrong, ValueError) for wrong in (math.nan, -math.inf, 0.0, -0.0, -0.5)),
]
NO_REPLAY: list[tuple[Any, type[Exception]]] = [
    (-1, ValueError),
    *((wrong, TypeError) for wrong in list[Any](["10", True, False, None, 1.5, 0.0, math.nan, []])),
]
WRONG_LIMITS = [
    pytest.param(name, wrong, error, id=f"{name}={str(wrong)[:12]}")
    for name, several in (
        ("limit", NO_COUNT),
        ("limit_bytes", NO_COUNT),
        ("limit_seconds", NO_SECONDS),
        ("max_lag", NO_COUNT),
        ("max_lag_bytes", NO_COUNT),
        ("max_lag_seconds", NO_SECONDS),
        ("replay", NO_REPLAY),
        ("replay_seconds", NO_SECONDS),
        (
            "on_lag",
            [(word, ValueError) for word in ("", "drop", "Raise", "raise ", "latest,skip")]
            + [(word, TypeError) for word in (None, 0, b"raise", True, ("raise",))],
        ),
    )
    for wrong, error in several
]
OF_A_TOPIC = ("limit", "limit_bytes", "limit_seconds", "replay", "replay_seconds")
OF_A_READER = ("replay", "replay_seconds", "max_lag", "max_lag_bytes", "max_lag_seconds", "on_lag")


@pytest.mark.parametrize(("name", "wrong", "error"), WRONG_LIMITS)
def test_a_wrong_limit_is_refused_and_changes_nothing(
    name: str, wrong: Any, error: type[Exception]
) -> None:
    def state() -> list[Any]:
        found: list[Any] = [
            topic.limit,
            topic.limit_bytes,
            topic.limit_seconds,
            subscription.max_lag,
        ]
        found += [subscription.max_lag_bytes, subscription.max_lag_seconds, subscription.on_lag]
        return found

    topic = Topic[bytes](
        limit=50, limit_bytes=500, limit_seconds=500.0, replay=5, replay_seconds=60, sizeof=len
    )
    subscription = topic.subscribe(max_lag=40, max_lag_bytes=400, max_lag_seconds=400.0)
    topic.publish(b"1")
    before = state()
    if name in OF_A_TOPIC:
        with pytest.raises(error, match=f"^{name} is "):
            Topic(**{name: wrong, "sizeof": len})
    if name in OF_A_READER:
        with pytest.raises(error, match=f"^{name} is "):
            topic.subscribe(**{name: wrong})
    for owner in (topic, subscription):
        if hasattr(owner, name):
            with pytest.raises(error, match=f"^{name} is "):
                setattr(owner, name, wrong)
    assert state() == before == [50, 500, 500.0, 40, 400, 400.0, "raise"]
    assert topic.subscriptions() == [subscription]
    topic.publish(b"2")
    assert [subscription.receive_nowait() for _ in range(2)] == [b"1", b"2"]


def test_limits_in_bytes_need_sizeof() -> None:
    topic = Topic[bytes]()
    subscription = topic.subscribe()
    with pytest.raises(ValueError, match=r"limit_bytes needs to know sizes.*sizeof"):
        Topic[bytes](limit_bytes=5)
    with pytest.raises(ValueError, match="limit_bytes needs to know sizes"):
        topic.limit_bytes = 5
    with pytest.raises(ValueError, match="max_lag_bytes needs to know sizes"):
        topic.subscribe(max_lag_bytes=5)
    with pytest.raises(ValueError, match="max_lag_bytes needs to know sizes"):
        subscription.max_lag_bytes = 5
    assert (topic.limit_bytes, subscription.max_lag_bytes) == (None, None)
    assert topic.subscriptions() == [subscription]


def test_more_replay_than_is_kept_is_refused() -> None:
    topic = Topic[int](replay=5)
    with pytest.raises(ValueError, match="keeps 5 messages to replay, fewer than 6"):
        topic.subscribe(replay=6)
    for arguments in ({"replay": 1}, {"replay_seconds": 1}):
        with pytest.raises(ValueError, match=r"nothing to replay; make it with replay="):
            Topic[int]().subscribe(**arguments)  # type: ignore[arg-type]
    assert not topic.subscriptions()


def test_replay_and_limit_must_fit() -> None:
    with pytest.raises(ValueError, match="replay keeps 11 messages, so limit must be at least"):
        Topic[int](limit=10, replay=11)
    topic = Topic[int](limit=10, replay=10)
    with pytest.raises(ValueError, match="replay keeps 10 messages, so limit must be at least"):
        topic.limit = 9
    assert topic.limit == 10


def test_a_replay_longer_than_is_kept_in_seconds_is_refused() -> None:
    topic = Topic[int](replay_seconds=5)
    with pytest.raises(ValueError, match="for 5 seconds to replay, not 6"):
        topic.subscribe(replay_seconds=6)
    assert not topic.subscriptions()


def test_since_and_replay_both_say_where_to_begin() -> None:
    topic = Topic[int](replay=5)
    position = topic.subscribe().position
    for arguments in ({"replay": 1}, {"replay_seconds": 1}):
        with pytest.raises(ValueError, match="give one of them"):
            topic.subscribe(since=position, **arguments)  # type: ignore[arg-type]
    assert not topic.subscriptions()


async def test_sending_needs_a_limit_that_leaves_room() -> None:
    for topic, hint in (
        (Topic[int](), "give the topic a limit"),
        (Topic[int](limit=5, replay=5), "`replay` may be 4 at most, and it is 5"),
        (Topic[int](limit=5, limit_seconds=1), "only a limit"),
        (Topic[int](limit=5, limit_bytes=1, sizeof=int), "only a limit"),
    ):
        with pytest.raises(ValueError, match=hint):
            await topic.send(1)
        with pytest.raises(ValueError, match=hint):
            topic.send_blocking(1)
        assert topic.published == 0
        assert not topic._senders.queue


async def test_sending_what_has_no_size_publishes_nothing() -> None:
    topic = Topic[Any](limit=5, sizeof=len)
    with pytest.raises(TypeError, match="len"):
        await topic.send(1)
    with pytest.raises(TypeError, match="len"):
        topic.send_blocking(1)
    assert topic.published == 0
    assert not topic._senders.queue


async def test_sending_in_a_blocking_way_on_an_event_loop_is_refused() -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe()
    topic.send_blocking(1)  # it does not have to wait
    with pytest.raises(RuntimeError, match="await send"):
        topic.send_blocking(2)
    assert not topic._senders.queue
    assert subscription.lag == 1


@pytest.mark.parametrize(
    ("timeout", "error"), [(math.nan, ValueError), ("1", TypeError)], ids=["nan", "text"]
)
def test_a_timeout_of_sending_is_a_number(timeout: Any, error: type[Exception]) -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe()
    topic.publish(1)
    with pytest.raises(error):
        topic.send_blocking(2, timeout)
    assert not topic._senders.queue
    assert subscription.lag == 1
