"""What type checkers allow on a `Subscription`, and what they refuse; see `typed_topic`."""

from typing import assert_type

from driftline import Message, Position, Subscription, SubscriptionStatistics, Topic, View


async def reading_in_a_task(subscription: Subscription[int]) -> None:
    assert_type(await subscription.receive(), int)
    assert_type(await anext(subscription), int)
    async for value in subscription:
        assert_type(value, int)
    async for batch in subscription.batches():
        assert_type(batch, list[int])
    async for newest in subscription.latest():
        assert_type(newest, int)
    async for by_text in subscription.latest_by(str):
        assert_type(by_text, dict[str, int])
    async for message in subscription.messages():
        assert_type(message, Message[int])
        assert_type(message.value, int)
        assert_type(message.topic, str)
        assert_type(message.seq, int)
    async with subscription as entered:
        assert_type(entered, Subscription[int])
    text: str = await subscription.receive()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del text


def reading_in_a_thread(subscription: Subscription[int]) -> None:
    assert_type(subscription.receive_nowait(), int)
    assert_type(subscription.receive_blocking(timeout=1), int)
    assert_type(next(subscription), int)
    for value in subscription:
        assert_type(value, int)
    for batch in subscription.batches(max_size=10):
        assert_type(batch, list[int])
    for newest in subscription.latest():
        assert_type(newest, int)
    for by_text in subscription.latest_by(str):
        assert_type(by_text, dict[str, int])
    for message in subscription.messages():
        assert_type(message, Message[int])
    with subscription as entered:
        assert_type(entered, Subscription[int])


def views_have_the_type_of_what_they_give(subscription: Subscription[int]) -> None:
    assert_type(subscription.batches(), View[list[int]])
    assert_type(subscription.latest(), View[int])
    assert_type(subscription.latest_by(str), View[dict[str, int]])
    assert_type(subscription.messages(), View[Message[int]])
    subscription.batches("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    subscription.latest_by(str.upper)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    subscription.latest_by("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_is_a_key(subscription: Subscription[int]) -> None:
    def unhashable(value: int) -> list[int]:
        return [value]

    subscription.latest_by(unhashable)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


def what_can_be_seen(subscription: Subscription[int]) -> None:
    assert_type(subscription.topic, Topic[int])
    assert_type(subscription.name, str | None)
    assert_type(subscription.lag, int)
    assert_type(subscription.lag_seconds, float)
    assert_type(subscription.lag_bytes, int | None)
    assert_type(subscription.position, Position)
    assert_type(subscription.statistics(), SubscriptionStatistics)
    subscription.lag = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def moving(subscription: Subscription[int]) -> None:
    assert_type(subscription.skip(3), int)
    assert_type(subscription.skip_to_latest(), int)
    assert_type(subscription.fork(name="another"), Subscription[int])
    assert_type(subscription.park(60), Position)
    assert_type(Position.parse("a"), Position)
    subscription.skip(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    subscription.park()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def where_it_begins(topic: Topic[int], position: Position) -> None:
    topic.subscribe(name="a", replay=3, replay_seconds=1.5, on_lag="skip", max_lag=3)
    topic.subscribe(since=position)
    topic.subscribe(since=str(position))
    topic.subscribe(since=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.subscribe("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    topic.subscribe(limit=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    topic.subscribe(max_lag="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_message_is_not_changed(message: Message[int]) -> None:
    message.value = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def it_has_the_type_of_its_topic(truth: Topic[bool], number: Topic[int]) -> None:
    # Through `topic` of a subscription anybody can publish.
    wider: Subscription[int] = truth.subscribe()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    narrower: Subscription[bool] = number.subscribe()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del wider, narrower
