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
    [(-1, ValueError), (1.5, TypeError), (None, TypeError), ("3", TypeError)],
    ids=repr,
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
    topic.publish([1])
    (await first.receive()).append(2)
    assert await second.receive() == [1, 2]


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
