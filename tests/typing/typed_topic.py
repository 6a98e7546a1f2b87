"""What type checkers allow on a `Topic`, and what they refuse.

Nothing here runs. What is to be allowed says which type it must have; what is to be refused is
ignored by the name of the error, and an ignored error that does not come is an error itself.
"""

from typing import Any, assert_type

from driftline import Lagged, LagWatch, Subscription, Topic, TopicStatistics


class Price:
    """What a message may be."""


class SpotPrice(Price):
    """What a message may be where a price is wanted."""


def what_a_topic_is(topic: Topic[Price]) -> None:
    assert_type(Topic[int]("numbers"), Topic[int])
    assert_type(topic.name, str)
    assert_type(topic.published, int)
    assert_type(topic.closed, bool)
    assert_type(topic.limit, int | None)
    assert_type(topic.subscribe(), Subscription[Price])
    assert_type(topic.subscriptions(), list[Subscription[Price]])
    assert_type(topic.statistics(), TopicStatistics)
    assert_type(topic.watch_lag(10), LagWatch)


def a_size_tells_the_type() -> None:
    assert_type(Topic("lines", sizeof=bytes.__len__), Topic[bytes])


def a_topic_takes_messages_of_its_type(topic: Topic[Price]) -> None:
    topic.publish(Price())
    topic.publish(SpotPrice())
    topic.publish_many([Price(), SpotPrice()])
    topic.publish_many(price for price in (SpotPrice(),))
    topic.send_blocking(Price(), timeout=1.5)


async def also_when_it_waits_for_room(topic: Topic[Price]) -> None:
    assert_type(await topic.send(SpotPrice()), None)
    await topic.send("1.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.send(Price())  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


def a_topic_takes_no_others(topic: Topic[Price]) -> None:
    topic.publish("1.5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.publish(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.publish_many([1.5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    topic.publish_many(Price())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.send_blocking(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.publish()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def settings_have_types() -> None:
    Topic[int]("", limit=10, limit_seconds=0.5, replay=3, replay_seconds=60)
    Topic[bytes]("", limit_bytes=1_000, sizeof=len)
    Topic[int]("", limit="a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Topic[int]("", limit=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Topic[int]("", replay=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Topic[int]("", sizeof=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Topic[int]("", sizeof=str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Topic[int]("", size=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Topic[int]("", 10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Topic[int](1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_is_only_to_be_seen(topic: Topic[Price]) -> None:
    topic.limit = 10
    topic.limit = None
    topic.limit = "a"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    topic.name = "a"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    topic.published = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def it_ends_with_an_exception_or_nothing(topic: Topic[Price]) -> None:
    topic.close()
    topic.close(ValueError("a"))
    topic.close("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    topic.close(ValueError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def neither_more_nor_less(any_price: Topic[Price], spot_price: Topic[SpotPrice]) -> None:
    # Whoever has a topic both publishes and reads: one goes wrong in each direction.
    wider: Topic[Price] = spot_price  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    narrower: Topic[SpotPrice] = any_price  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    unknown: Topic[Any] = any_price
    known: Topic[Price] = unknown
    del wider, narrower, known


def errors_say_how_much(lagged: Lagged) -> None:
    assert_type(lagged.missed, int)
