"""The ways to read a subscription, and to move it."""

import time
from weakref import ref

import anyio
import pytest

from driftline import Lagged, Message, Subscription, Topic
from driftline._core import hold, invariants, views

BOUND = 10.0


async def test_batches_hold_everything_that_is_ready() -> None:
    topic = Topic[int]("batches")
    subscription = topic.subscribe()
    got: list[list[int]] = []

    async def read() -> None:
        got.extend([batch async for batch in subscription.batches()])

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for burst in ([1], [2, 3], [4, 5, 6]):
                await anyio.wait_all_tasks_blocked()
                for value in burst:
                    topic.publish(value)
            await anyio.wait_all_tasks_blocked()
            topic.close()
    assert got == [[1], [2, 3], [4, 5, 6]]


def test_batches_are_limited_and_a_long_backlog_comes_in_several() -> None:
    topic = Topic[int]("batches")
    small, large = topic.subscribe(), topic.subscribe()
    topic.publish_many(range(25_000))
    topic.close()
    assert [len(batch) for batch in small.batches(9_000)] == [9_000, 9_000, 7_000]
    assert [len(batch) for batch in large.batches()] == [10_000, 10_000, 5_000]


def test_batches_read_with_care_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """So they are read when another thread cuts or closes meanwhile."""
    monkeypatch.setattr(views, "read", hold._read_with_care)
    topic = Topic[int]("batches")
    subscription = topic.subscribe()
    topic.publish_many(range(5))
    topic.close()
    assert list(subscription.batches(3)) == [[0, 1, 2], [3, 4]]


async def test_latest_passes_over_all_but_the_newest() -> None:
    topic = Topic[int]("latest")
    subscription = topic.subscribe()
    latest = subscription.latest()
    topic.publish_many(range(25_000))  # more than is passed over in one step
    assert await anext(latest) == 24_999
    topic.publish(-1)
    assert await anext(latest) == -1
    assert (subscription.received, subscription.skipped) == (2, 24_999)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert await anext(latest) == 7

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            topic.publish_many([5, 6, 7])


def test_latest_in_a_thread() -> None:
    topic = Topic[int]("latest")
    subscription = topic.subscribe()
    topic.publish_many(range(25_000))
    assert next(subscription.latest()) == 24_999


async def test_latest_by_keeps_the_newest_for_each_key() -> None:
    topic = Topic[tuple[str, int]]("latest_by")
    subscription = topic.subscribe()
    view = subscription.latest_by(lambda value: value[0])
    topic.publish_many([("a", 1), ("b", 1), ("a", 2), ("a", 3)])
    assert await anext(view) == {"a": ("a", 3), "b": ("b", 1)}
    topic.publish(("b", 2))
    assert await anext(view) == {"b": ("b", 2)}
    assert (subscription.received, subscription.skipped) == (3, 2)


async def test_a_key_that_raises_consumes_nothing() -> None:
    topic = Topic[int]("latest_by")
    subscription = topic.subscribe()
    view = subscription.latest_by(lambda value: 1 // value)
    topic.publish_many([0, 1])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await anext(view)
    assert subscription.lag == 2
    assert subscription.skip(1) == 1
    assert await anext(view) == {1: 1}


async def test_messages_tell_topic_number_and_time() -> None:
    topic = Topic[str]("prices")
    before = time.time()
    subscription = topic.subscribe()
    topic.publish("a")
    topic.publish_many(["b", "c"])
    topic.close()
    messages = [message async for message in subscription.messages()]
    assert [(message.topic, message.seq, message.value) for message in messages] == [
        ("prices", 1, "a"),
        ("prices", 2, "b"),
        ("prices", 3, "c"),
    ]
    times = [message.published_at for message in messages]
    assert times == sorted(times)
    assert before - 1 < times[0] < time.time() + 1
    assert before - 1 < subscription.subscribed_at < time.time() + 1
    assert messages[0] == Message("prices", 1, times[0], "a")


async def test_views_and_the_subscription_share_one_place() -> None:
    topic = Topic[int]("shared")
    subscription = topic.subscribe()
    topic.publish_many(range(6))
    assert await subscription.receive() == 0
    assert (await anext(subscription.messages())).value == 1
    assert await anext(subscription.batches(2)) == [2, 3]
    assert subscription.receive_nowait() == 4
    assert subscription.receive_blocking() == 5
    with pytest.raises(anyio.WouldBlock):
        subscription.receive_nowait()


async def test_a_cancelled_view_has_consumed_nothing() -> None:
    topic = Topic[int]("cancelled")
    subscription = topic.subscribe()
    for view in (subscription.batches(), subscription.latest(), subscription.messages()):
        with anyio.move_on_after(0):
            await anext(view)
    topic.publish_many(range(3))
    assert [subscription.receive_nowait() for _ in range(3)] == [0, 1, 2]


def test_a_fork_goes_its_own_way_from_the_same_place() -> None:
    topic = Topic[int]("fork", sizeof=lambda _: 1)
    subscription = topic.subscribe(name="one")
    topic.publish_many(range(5))
    subscription.receive_nowait()
    fork = subscription.fork(name="two")
    assert (fork.name, fork.lag, fork.lag_bytes, fork.received) == ("two", 4, 4, 0)
    assert fork.position == subscription.position
    subscription.skip_to_latest()
    subscription.close()
    assert [fork.receive_nowait() for _ in range(4)] == [1, 2, 3, 4]
    assert topic.subscriptions() == [fork]


def test_skipping_says_how_many_were_passed_over() -> None:
    topic = Topic[int]("skip")
    subscription = topic.subscribe()
    assert subscription.skip_to_latest() == 0
    assert subscription.skip(3) == 0
    topic.publish_many(range(10))
    assert subscription.skip(0) == 0
    assert subscription.skip(4) == 4
    assert subscription.receive_nowait() == 4
    assert subscription.skip_to_latest() == 4
    assert subscription.skip_to_latest() == 0
    assert subscription.skip(100) == 1
    assert (subscription.received, subscription.skipped, subscription.lag) == (1, 9, 0)
    topic.close()
    assert subscription.skip(1) == subscription.skip_to_latest() == 0


def test_a_position_names_topic_object_and_number() -> None:
    topic, twin = Topic[int]("same name"), Topic[int]("same name")
    subscription = topic.subscribe()
    start = subscription.position
    topic.publish(1)
    subscription.receive_nowait()
    assert (start.seq, subscription.position.seq) == (0, 1)
    assert start.epoch == subscription.position.epoch != twin.subscribe().position.epoch


async def test_a_subscription_closes_with_its_block() -> None:
    topic = Topic[int]("with")
    with topic.subscribe() as first:
        assert not first.closed
    async with topic.subscribe() as second:
        assert not second.closed
    assert first.closed
    assert second.closed
    assert topic.subscriptions() == []


def test_reprs_say_what_one_wants_to_know() -> None:
    topic = Topic[int]("prices")
    subscription = topic.subscribe(name="ada")
    topic.publish(1)
    assert repr(topic) == "<Topic 'prices', 1 published>"
    assert repr(subscription) == "<Subscription 'ada' of 'prices', lag 1>"
    topic.close()
    subscription.close()
    assert repr(topic) == "<Topic 'prices', 1 published, closed>"
    assert repr(subscription) == "<Subscription 'ada' of 'prices', closed>"


def test_a_view_can_be_read_without_waiting_or_for_some_time() -> None:
    topic = Topic[int]("views")
    subscription = topic.subscribe()
    batches, messages = subscription.batches(), subscription.messages()
    with pytest.raises(anyio.WouldBlock):
        batches.receive_nowait()
    topic.publish_many(range(3))
    assert messages.receive_nowait().seq == 1
    assert batches.receive_nowait() == [1, 2]
    with pytest.raises(TimeoutError):
        batches.receive_blocking(timeout=0)
    topic.publish(3)
    assert batches.receive_blocking(timeout=0) == [3]
    topic.close()
    for receive in (batches.receive_nowait, batches.receive_blocking):
        with pytest.raises(anyio.EndOfStream):
            receive()
    subscription._reading = True
    with pytest.raises(anyio.BusyResourceError):
        messages.receive_nowait()


# One that leads others.


def test_who_is_led_has_received_what_the_leader_has() -> None:
    topic = Topic[int]("lead")
    leader, *others = (topic.subscribe() for _ in range(4))
    topic.publish_many(range(10))
    others[1].receive_nowait()
    others[2].close()
    list(zip(range(6), leader, strict=False))
    leader.lead(others)
    assert [other.received for other in others] == [6, 6, 0]
    assert [other.lag for other in others] == [4, 4, 0]
    assert [others[0].receive_nowait(), others[1].receive_nowait()] == [6, 6]
    leader.lead(())
    leader.skip_to_latest()
    leader.lead(others)
    assert [other.position for other in others[:2]] == [leader.position] * 2
    invariants.check(topic)


def test_p7_who_is_led_lets_go_of_what_it_has_passed() -> None:
    class Payload:
        pass

    topic = Topic[Payload]("lead")
    leader, other = topic.subscribe(), topic.subscribe()
    values = [Payload() for _ in range(3)]
    references = [ref(value) for value in values]
    topic.publish_many(values)
    del values
    for _ in range(2):
        leader.receive_nowait()
    assert all(reference() for reference in references)
    leader.lead([other])
    assert [reference() is None for reference in references] == [True, True, False]


def test_who_is_led_over_a_cut_has_received_what_it_did_not_read_itself() -> None:
    topic = Topic[int]("lead", limit=4)
    leader, other, slow = (topic.subscribe(on_lag="skip") for _ in range(3))
    for value in range(100):
        topic.publish(value)
        assert leader.receive_nowait() == value
    leader.lead([other])
    assert (other.received, other.missed, other.lag) == (100, 0, 0)
    topic.publish(100)
    assert other.receive_nowait() == 100
    slow.receive_nowait()
    assert slow.missed > 90


def test_who_is_led_is_still_told_what_it_has_missed() -> None:
    topic = Topic[int]("lead", limit=4)
    leader, other = topic.subscribe(on_lag="skip"), topic.subscribe()
    topic.publish_many(range(100))
    for _ in range(4):
        leader.receive_nowait()
    with pytest.raises(Lagged):
        other.receive_nowait()
    leader.lead([other])
    assert other.received + other.missed == 100 - leader.lag


@pytest.mark.parametrize("what", ["of another topic", "further", "busy", "itself closed"])
def test_who_cannot_be_led_is_left_where_it_is(what: str) -> None:
    topic = Topic[int]("lead")
    leader, other = topic.subscribe(), topic.subscribe()
    last: Subscription[int] = topic.subscribe()
    topic.publish_many(range(3))
    expected: type[Exception] = ValueError
    if what == "of another topic":
        other = Topic[int]().subscribe()
    elif what == "further":
        other.skip(1)
    elif what == "busy":
        leader.skip(1)
        other._reading = True
        expected = anyio.BusyResourceError
    else:
        leader.close()
        expected = anyio.ClosedResourceError
    position = other.position
    with pytest.raises(expected):
        leader.lead([other, last])
    assert other.position == position
    assert last.lag == 3
