"""What type checkers allow on a `Bus`, and what they refuse; see `typed_topic`."""

from typing import Any, assert_type

from driftline import (
    Bus,
    BusRates,
    BusStatistics,
    Message,
    Subscription,
    SubscriptionStatistics,
    Topic,
    TopicStatistics,
    forward,
)


class Price:
    """What a message may be."""


def a_topic_has_the_type_that_is_asked_for(bus: Bus) -> None:
    prices = bus.topic("prices", Price)
    assert_type(prices, Topic[Price])
    assert_type(prices.subscribe(), Subscription[Price])
    prices.publish(Price())
    prices.publish("1.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(bus.topic("prices", Price, keep=True, replay=3), Topic[Price])
    assert_type(bus.topic("prices", kind=Price), Topic[Price])
    assert_type(bus.topic("batches", list[int]), Topic[list[int]])
    texts: Topic[str] = bus.topic("prices", Price)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    del texts


def a_topic_without_a_type_takes_anything(bus: Bus) -> None:
    anything = bus.topic("x")
    assert_type(anything, Topic[Any])
    assert_type(bus.topic("x", keep=True, limit=10), Topic[Any])
    anything.publish(Price())
    anything.publish("1.5")


def a_type_is_a_class_and_a_name_is_text(bus: Bus) -> None:
    bus.topic("x", "Price")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bus.topic("x", Price())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bus.topic(Price)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bus.topic()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def settings_have_types(bus: Bus) -> None:
    Bus(max_topics=100, limit=10, limit_seconds=0.5, replay=3, replay_seconds=60)
    Bus(limit_bytes=1_000, sizeof=len)
    Bus(limit="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bus(replay=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bus(max_topics="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bus(maximum=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Bus(100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bus.topic("x", limit="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bus.topic("x", maximum=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    bus.topic("x", keep="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def anything_is_published_by_name(bus: Bus) -> None:
    assert_type(bus.publish("prices", Price()), None)
    assert_type(bus.publish_many("prices", [Price(), "1.5"]), None)
    assert_type(await bus.send("prices", 1.5), None)
    bus.publish(Price())  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    bus.publish(Price, 1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bus.publish("prices")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bus.publish_many("prices", 1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bus.send("prices", 1.5)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


async def a_pattern_matches_messages_of_any_type(bus: Bus) -> None:
    subscription = bus.subscribe("prices.*", "orders.>", name="a", replay=3)
    assert_type(subscription, Subscription[Any])
    async for message in subscription.messages():
        assert_type(message, Message[Any])
    bus.subscribe(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bus.subscribe(["prices.*"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bus.subscribe("prices.*", limit=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def what_is_expected_is_a_message(bus: Bus) -> None:
    assert_type(await bus.expect("answers.*"), Message[Any])
    assert_type(await bus.expect("answers.*", where=lambda message: message.seq > 3), Message[Any])
    message: Message[Any] = bus.expect("answers.*")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del message
    bus.expect("answers.*")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await bus.expect("answers.*", where=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bus.expect("answers.*", where=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_can_be_seen(bus: Bus, earlier: BusStatistics) -> None:
    assert_type(bus.closed, bool)
    assert_type(bus.topics(), tuple[TopicStatistics, ...])
    assert_type(bus.subscriptions(), list[Subscription[Any]])
    assert_type(bus.lags(), list[SubscriptionStatistics])
    assert_type(bus.statistics(), BusStatistics)
    assert_type(bus.statistics().rates(earlier), BusRates)
    bus.closed = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def a_block_is_left_with_the_bus_closed() -> None:
    with Bus() as bus:
        assert_type(bus, Bus)
    async with Bus(limit=10) as bus:
        assert_type(bus, Bus)
    bus.close(ValueError("a"))
    bus.close("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def forwarding(bus: Bus, topic: Topic[int], subscription: Subscription[int]) -> None:
    assert_type(await forward(subscription, bus), int)
    assert_type(await forward(subscription, topic), int)
    await forward(bus, topic)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await forward(subscription, print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
