"""The promises of the design, P1 to P11, one by one, on every event loop.

P4 and P5 are in `test_publish_anywhere`, P7 and P9 in `test_freeing`; P8 comes with limits.
"""

import threading
from collections.abc import Callable
from typing import Any
from weakref import ref

import anyio
import pytest

from driftline import Subscription, Topic
from driftline._core import invariants
from proof.law import Ledger, Reader

Value = tuple[str, int]
BOUND = 10.0  # seconds after which a test that waits has failed


async def read_all(reader: Reader[Subscription[Value]]) -> None:
    async for value in reader.subscription:
        reader.got(value)


async def test_p1_every_reader_gets_everything_once_in_order() -> None:
    topic = Topic[Value]("p1")
    ledger = Ledger(topic)
    publish = ledger.publish
    readers = [ledger.reader(f"reader {n}", topic.subscribe) for n in range(5)]
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(read_all, reader)
            for number in range(300):
                publish("ada" if number % 3 else "bob")
                if number % 7 == 0:
                    await anyio.wait_all_tasks_blocked()
            topic.close()
    ledger.check()
    assert [subscription.received for subscription in topic.subscriptions()] == [300] * 5


async def test_p1_holds_for_readers_who_skip_batch_and_take_only_the_latest() -> None:
    topic = Topic[int]("p1")
    plain, batched, newest, keyed = (topic.subscribe(name=name) for name in "abcd")
    topic.publish_many(range(100))

    assert plain.skip(30) == 30
    assert await plain.receive() == 30
    assert plain.skip_to_latest() == 68
    assert await plain.receive() == 99
    assert await anext(batched.batches(40)) == list(range(40))
    assert await anext(newest.latest()) == 99
    assert await anext(keyed.latest_by(lambda value: value % 3)) == {0: 99, 1: 97, 2: 98}

    for subscription in (plain, batched, newest, keyed):
        position = subscription.position.seq
        assert subscription.received + subscription.skipped == position
        assert subscription.lag == topic.published - position
    assert (plain.received, plain.skipped) == (2, 98)
    assert (batched.received, batched.skipped, batched.lag) == (40, 0, 60)
    assert (newest.received, newest.skipped) == (1, 99)
    assert (keyed.received, keyed.skipped) == (3, 97)


def grow_old(topic: Topic[Any], published: int) -> None:
    """Have a new topic number its messages as if it had published so many before."""
    start: Any = topic._end[0]
    start.seq = published
    topic._end = (start, published)
    topic._limits.milestones._marks[0] = (published, ref(start))
    assert topic._replay is not None
    topic._replay.place = topic._end


@pytest.mark.parametrize("limit", [None, 4])
async def test_p1_d11_numbers_go_on_where_those_of_the_machine_end(limit: int | None) -> None:
    topic = Topic[int]("old", limit=limit, replay=2)
    before = 2**63 - 3
    grow_old(topic, before)
    subscription = topic.subscribe(on_lag="skip")
    for number in range(1, 11):
        topic.publish(before + number)
    invariants.check(topic)
    assert topic.published == topic.statistics().published == before + 10
    assert subscription.lag == 10

    replayed = topic.subscribe(replay=2).messages()
    assert [(await anext(replayed)).seq for _ in range(2)] == [before + 9, before + 10]

    missed = 0 if limit is None else 10 - limit
    messages = subscription.messages()
    for number in range(missed + 1, 9):
        message = await anext(messages)
        assert message.seq == message.value == before + number
    assert (subscription.missed, subscription.lag) == (missed, 2)

    token = str(subscription.park(60))
    again = topic.subscribe(since=token)
    assert again.position.seq == before + 8
    assert again.skip(2**64) == 2
    assert again.position.seq == topic.published > 2**63


async def test_p2_a_subscription_begins_when_it_is_made_not_when_it_is_read() -> None:
    topic = Topic[int]("p2")
    topic.publish(0)
    subscription = topic.subscribe()
    iterator = aiter(topic)
    topic.publish(1)
    topic.publish(2)
    assert [await subscription.receive(), await subscription.receive()] == [1, 2]
    assert [await anext(iterator), await anext(iterator)] == [1, 2]


async def test_p2_the_position_is_that_of_the_call_for_blocking_iteration_too() -> None:
    topic = Topic[int]("p2")
    iterator = iter(topic)
    topic.publish(1)
    topic.close()
    assert list(iterator) == [1]


async def test_p3_all_readers_see_one_order_of_several_threads() -> None:
    topic = Topic[Value]("p3")
    ledger = Ledger(topic)
    readers = [ledger.reader(f"reader {n}", topic.subscribe) for n in range(3)]

    def publish(name: str) -> None:
        for _ in range(500):
            ledger.publish(name)

    threads = [threading.Thread(target=publish, args=(name,)) for name in ("ada", "bob", "cyd")]
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(read_all, reader)
            for thread in threads:
                thread.start()
            for thread in threads:
                await anyio.to_thread.run_sync(thread.join)
            topic.close()
    ledger.check()


async def test_p6_what_happens_to_one_reader_is_not_noticed_by_another() -> None:
    topic = Topic[Value]("p6")
    ledger = Ledger(topic)
    healthy = [ledger.reader(f"healthy {n}", topic.subscribe) for n in range(2)]
    timed_out = topic.subscribe()
    scope = anyio.CancelScope()
    ended: list[str] = []

    async def cancelled() -> None:
        with scope:
            await topic.subscribe().receive()
        ended.append("cancelled")

    async def crashing() -> None:
        try:
            async for _ in topic:
                raise ZeroDivisionError
        except ZeroDivisionError:
            ended.append("crashing")

    async def closed(subscription: Subscription[Value]) -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await subscription.receive()
        ended.append("closed")

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for reader in healthy:
                tasks.start_soon(read_all, reader)
            tasks.start_soon(cancelled)
            tasks.start_soon(crashing)
            to_close = topic.subscribe()
            tasks.start_soon(closed, to_close)
            with anyio.move_on_after(0.01):
                await timed_out.receive()
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            to_close.close()
            topic.subscribe()  # and forget it
            for _ in range(10):
                ledger.publish("ada")
            await anyio.wait_all_tasks_blocked()
            assert [await timed_out.receive() for _ in range(10)] == [("ada", n) for n in range(10)]
            topic.close()
    ledger.check()
    assert sorted(ended) == ["cancelled", "closed", "crashing"]


async def test_p6_a_cancelled_receive_has_consumed_nothing() -> None:
    topic = Topic[int]("p6")
    subscription = topic.subscribe()
    with anyio.fail_after(BOUND):
        for number in range(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(subscription.receive)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
                topic.publish(number)  # in the same step as the cancellation
    # trio delivers a wake-up that came before the cancellation; asyncio does not.
    received = subscription.received
    rest = [subscription.receive_nowait() for _ in range(subscription.lag)]
    assert rest == list(range(received, 20))


async def test_p10_a_closed_topic_lets_readers_drain_and_then_ends_them() -> None:
    topic = Topic[int]("p10")
    behind, waiting = topic.subscribe(), topic.subscribe()
    topic.publish(1)
    assert waiting.receive_nowait() == 1
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(anyio.EndOfStream):
                    await waiting.receive()

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            topic.close()
    assert topic.closed
    assert [value async for value in behind] == [1]
    assert [value async for value in behind] == []
    for end in (behind.receive_nowait, behind.receive_blocking):
        with pytest.raises(anyio.EndOfStream):
            end()
    late = topic.subscribe()
    with pytest.raises(anyio.EndOfStream):
        await late.receive()


async def test_p10_a_failed_topic_tells_every_reader_why() -> None:
    topic = Topic[int]("p10")
    error = OSError("the feed is gone")
    first, second = topic.subscribe(), topic.subscribe()
    topic.publish(1)
    topic.close(error)
    topic.close(ValueError("too late"))
    for subscription in (first, second):
        assert await subscription.receive() == 1
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError, match="the feed is gone") as caught:
                await subscription.receive()
            assert caught.value.__cause__ is error
    with pytest.raises(anyio.BrokenResourceError):
        await anext(first)
    with pytest.raises(anyio.BrokenResourceError):
        next(second)


async def test_p10_views_end_as_the_subscription_does() -> None:
    topic = Topic[int]("p10", sizeof=lambda _: 1)
    views: list[Callable[[Subscription[int]], Any]] = [
        lambda subscription: subscription.batches(),
        lambda subscription: subscription.latest(),
        lambda subscription: subscription.latest_by(lambda value: value),
        lambda subscription: subscription.messages(),
    ]
    subscriptions = [topic.subscribe() for _ in range(8)]
    topic.publish_many([1, 2])
    topic.close()
    lengths = [1, 1, 1, 2]
    for view, length, in_task, in_thread in zip(
        views, lengths, subscriptions[:4], subscriptions[4:], strict=True
    ):
        assert len([item async for item in view(in_task)]) == length
        assert len(list(view(in_thread))) == length


async def test_p11_lag_is_seen_from_any_thread_and_is_never_negative() -> None:
    topic = Topic[int]("p11", sizeof=lambda value: value % 10)
    subscription = topic.subscribe(name="slow")
    stop = threading.Event()
    seen: list[object] = []

    def look() -> None:
        while not stop.is_set():
            row = topic.statistics().subscriptions[0]
            if row.lag < 0 or row.lag_seconds < 0 or (row.lag_bytes or 0) < 0 or row.received < 0:
                seen.append(row)

    def publish() -> None:
        for number in range(3000):
            topic.publish(number)

    watcher = threading.Thread(target=look)
    publishers = [threading.Thread(target=publish) for _ in range(2)]
    watcher.start()
    for publisher in publishers:
        publisher.start()
    with anyio.fail_after(BOUND):
        for _ in range(3000):
            await subscription.receive()
        skipped = subscription.skip(1000)
        for publisher in publishers:
            await anyio.to_thread.run_sync(publisher.join)
    stop.set()
    watcher.join()
    assert not seen
    assert subscription.lag == 6000 - 3000 - skipped


def test_p11_lag_counts_messages_seconds_and_bytes() -> None:
    topic = Topic[bytes]("p11", sizeof=len)
    subscription = topic.subscribe(name="slow")
    assert (subscription.lag, subscription.lag_seconds, subscription.lag_bytes) == (0, 0.0, 0)
    topic.publish(b"abc")
    topic.publish_many([b"d", b"", b"efgh"])
    assert (subscription.lag, subscription.lag_bytes) == (4, 8)
    before = subscription.lag_seconds
    assert 0 <= before <= subscription.lag_seconds
    subscription.receive_nowait()
    assert (subscription.lag, subscription.lag_bytes) == (3, 5)
    statistics = topic.statistics()
    assert statistics.published == 4
    assert statistics.published_bytes == 8
    (row,) = statistics.subscriptions
    assert (row.name, row.lag, row.lag_bytes, row.received, row.skipped) == ("slow", 3, 5, 1, 0)
    subscription.close()
    assert (subscription.lag, subscription.lag_seconds, subscription.lag_bytes) == (0, 0.0, 0)
    assert topic.statistics().subscriptions == ()


def test_p11_what_cannot_be_known_is_none() -> None:
    topic = Topic[bytes]("p11")
    subscription = topic.subscribe()
    topic.publish(b"abc")
    assert subscription.lag_bytes is None
    assert topic.statistics().published_bytes is None
