"""When topics and streams begin and end, and what is left of them then."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest

from driftline import Bus, PositionLost, Subscription, TooManyTopics, Topic

NAMES = 2_500  # `make bench` does the same with a million
HELD = 1000  # by the bus, of those that publish has made


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Show that reference counting is enough."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def names(bus: Bus) -> list[str]:
    return [topic.name for topic in bus.topics() if not topic.closed]


# Topics.


def test_a_name_is_one_topic_as_long_as_somebody_holds_it() -> None:
    bus = Bus()
    topic = bus.topic("a.b")
    assert bus.topic("a.b") is topic
    assert topic.name == "a.b"
    assert bus.topic("a.c") is not topic


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize(
    "hold",
    [
        lambda bus: bus.topic("a"),
        lambda bus: bus.subscribe("a"),
        lambda bus: bus.topic("a").subscribe().fork(),
        lambda bus: iter(bus.subscribe("a").messages()),
    ],
    ids=["topic", "subscription", "fork", "view"],
)
def test_e10_a_topic_is_freed_when_nobody_holds_it(hold: Callable[[Bus], object]) -> None:
    bus = Bus()
    held = hold(bus)
    epoch = bus.topic("a").statistics().epoch
    assert names(bus) == ["a"]
    assert bus.topic("a").statistics().epoch == epoch
    del held
    assert names(bus) == []
    assert not bus._joint.members
    assert bus.topic("a").statistics().epoch != epoch


@pytest.mark.usefixtures("without_collector")
def test_a_topic_with_a_replay_is_kept_when_asked_and_let_go_when_asked() -> None:
    bus = Bus(replay=2)
    bus.topic("a", keep=True).publish_many([1, 2, 3])
    assert list(drain(bus.subscribe("a", replay=2))) == [2, 3]
    bus.topic("a", keep=False)
    assert names(bus) == []


def drain(subscription: Subscription[Any]) -> Iterator[Any]:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            yield subscription.receive_nowait()


@pytest.mark.usefixtures("without_collector")
def test_a_kept_topic_that_is_closed_is_let_go() -> None:
    bus = Bus()
    topic = weakref.ref(bus.topic("a", keep=True))
    bus.topic("a").close()
    assert topic() is None


@pytest.mark.usefixtures("without_collector")
def test_p7_a_bus_is_freed_with_all_that_it_keeps() -> None:
    bus = Bus(replay=3)
    bus.topic("kept", keep=True).publish(1)
    bus.publish("published", 1)
    bus.subscribe("a.*", "b").park(1000)
    bus.subscribe("a.*", "c")
    stream = bus.subscribe("parked.>", replay=2)
    bus.publish("parked.a", 1)
    stream.park(1000)
    joint, kept = weakref.ref(bus._joint), weakref.ref(bus._kept)
    del bus, stream
    assert joint() is None
    assert kept() is None


def test_e10_names_that_come_and_go_leave_memory_flat() -> None:
    bus = Bus()
    pattern = bus.subscribe("*.7.>", name="reader")
    got = 0

    def publish(start: int) -> None:
        nonlocal got
        for n in range(start, start + NAMES):
            bus.publish(f"device.{n % 10}.{n}", n)
        got += sum(1 for _ in drain(pattern))

    tracemalloc.start()
    try:
        publish(0)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        publish(NAMES)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert got == NAMES // 5
    assert grown < 100_000
    assert len(bus.topics()) == HELD
    assert len(bus._joint.members) == HELD + 1


def test_d9_subscriptions_that_come_and_go_leave_memory_flat() -> None:
    bus = Bus()
    topic = bus.topic("a.b")

    def subscribe(start: int) -> None:
        for n in range(start, start + NAMES):
            with bus.subscribe(f"a.{n}.*", "a.*"):
                if n % 1000 == 0:
                    topic.publish(n)
            bus.subscribe("a.>")

    tracemalloc.start()
    try:
        subscribe(0)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        subscribe(NAMES)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000
    topic.publish(None)
    assert not bus._joint.changes
    assert not bus._joint.streams
    assert not bus._joint._tree._branches
    assert bus.lags() == []


def test_e10_endless_names_are_refused() -> None:
    bus = Bus(max_topics=3)
    held = [bus.topic(name) for name in "abc"]
    for use in (bus.topic, bus.subscribe, lambda name: bus.publish(name, 1)):
        with pytest.raises(TooManyTopics, match="as many as this bus may have; 'd' was not made"):
            use("d")
    assert names(bus) == ["a", "b", "c"]
    bus.publish("a", 1)
    assert held[0].published == 1
    held.pop()
    bus.topic("d")


def test_e10_what_publish_has_made_makes_room_for_others() -> None:
    bus = Bus(max_topics=3)
    for n in range(100):
        bus.publish(f"name-{n}", n)
        assert len(bus.topics()) <= 3
    assert bus.statistics().published == 100


def test_e10_endless_patterns_are_refused() -> None:
    bus = Bus(max_topics=2)
    held = [bus.subscribe("a.*"), bus.subscribe("b.*"), bus.subscribe("a.*")]
    with pytest.raises(TooManyTopics, match=r"none was made for 'c\.\* d'"):
        bus.subscribe("c.*", "d")
    del held[1]
    bus.subscribe("c.*", "d")


@pytest.mark.parametrize("max_topics", [0, -1, 1.5, True, "7"])
def test_max_topics_is_a_number(max_topics: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="max_topics"):
        Bus(max_topics=max_topics)


def test_topics_have_the_settings_of_the_bus_or_their_own() -> None:
    bus = Bus(limit=10, replay=5, sizeof=len)
    topic = bus.topic("a")
    assert topic.limit == 10
    assert bus.topic("b", limit=None, replay=0).limit is None
    own = bus.topic("c", limit=7)
    assert own.limit == 7
    assert bus.topic("c") is bus.topic("c", limit=7) is own
    with pytest.raises(ValueError, match=r"'c' is there already, made with limit=7 and not 8"):
        bus.topic("c", limit=8)
    with pytest.raises(ValueError, match="made with replay=5 and not 0"):
        bus.topic("a", replay=0)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": "a"}, TypeError),
        ({"limit_bytes": 7}, ValueError),
        ({"replay": -1}, ValueError),
        ({"sizeof": 7}, TypeError),
        ({"limits": 7}, TypeError),
        ({"maxsize": 7}, TypeError),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(
    settings: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Bus(**settings)
    bus = Bus()
    with pytest.raises(error):
        bus.topic("a", **settings)
    assert names(bus) == []
    assert not bus._joint.members


def test_a_closed_topic_leaves_the_bus_and_its_name_begins_anew() -> None:
    bus = Bus()
    old = bus.topic("a")
    reader = bus.subscribe("a")
    bus.publish("a", 1)
    old.close()
    old.close()
    bus.publish("a", 2)
    assert bus.topic("a") is not old
    with pytest.raises(anyio.ClosedResourceError):
        old.publish(3)
    assert [row.lag for row in bus.lags()] == [1], "those who still read are visible"
    assert list(drain(reader)) == [1]
    with pytest.raises(anyio.EndOfStream):
        reader.receive_nowait()
    new = bus.topic("a")
    del old, reader
    assert bus.topic("a") is new


def test_w3_a_topic_closed_when_it_was_forgotten_leaves_the_next_of_its_name_alone() -> None:
    """The collector forgets the weak references of a cycle before it calls its finalizers."""
    bus = Bus()
    again: list[Topic[int]] = []

    class Channel:
        def __init__(self) -> None:
            self.topic = bus.topic("x")
            self.me = self

        def __del__(self) -> None:
            again.append(bus.topic("x", keep=True))
            self.topic.close()

    Channel()
    gc.collect()
    assert again[0] is bus.topic("x")
    assert not again[0].closed
    reader = bus.subscribe("x")
    bus.publish("x", 1)
    assert list(drain(reader)) == [1]
    assert bus._kept.topics == {"x": again[0]}


def test_an_unknown_setting_is_named_with_those_that_there_are() -> None:
    with pytest.raises(TypeError, match="no setting 'maxsize'; a topic has limit, limit_bytes"):
        Bus(maxsize=7)  # type: ignore[call-arg]


def test_what_to_expect_is_a_function() -> None:
    with pytest.raises(TypeError, match="where takes a function"):
        _ = Bus().expect("a", where=3)  # type: ignore[arg-type]


def test_a_bus_is_not_copied() -> None:
    bus = Bus()
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a bus cannot be copied"):
            attempt(bus)


# Streams.


@pytest.mark.usefixtures("without_collector")
def test_subscriptions_to_the_same_patterns_share_a_stream_as_long_as_there_is_one() -> None:
    bus = Bus()
    one, other = bus.subscribe("b.*", "a.>"), bus.subscribe("a.>", "b.*", "b.*")
    assert one.topic is other.topic
    assert one.topic.name == "a.> b.*"
    assert bus.subscribe("a.>").topic is not one.topic
    stream = weakref.ref(one.topic)
    del one
    assert stream() is not None
    del other
    assert stream() is None
    assert not bus._joint.streams
    bus.publish("a.b", 1)
    assert not bus._joint._tree._branches


def test_a_single_name_is_the_topic_itself() -> None:
    bus = Bus()
    assert bus.subscribe("a.b").topic is bus.topic("a.b")


def test_a_stream_takes_no_messages_and_is_not_closed_by_one_of_its_readers() -> None:
    bus = Bus(limit=3)
    one, other = bus.subscribe("a.*"), bus.subscribe("a.*")
    stream: Topic[Any] = one.topic
    many = stream.publish_many
    for publish in (stream.publish, lambda value: many([value]), stream.send_blocking):
        with pytest.raises(TypeError, match="takes no messages; publish to a topic of the bus"):
            publish(1)
    with pytest.raises(TypeError, match="ends with its bus"):
        stream.close()
    one.close()
    bus.publish("a.b", 1)
    assert other.receive_nowait() == 1


@pytest.mark.usefixtures("without_collector")
def test_a_parked_place_holds_its_topic_and_its_stream_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    for patterns in (["a"], ["a", "b"], ["*"]):
        subscription = bus.subscribe(*patterns)
        bus.publish("a", 1)
        assert subscription.receive_nowait() == 1
        token = str(subscription.park(60))
        del subscription
        bus.publish("a", 2)
        again = bus.subscribe(*patterns, since=token)
        assert list(drain(again)) == [2]
        stream = weakref.ref(again.topic)
        del again
        assert stream() is not None
        with monkeypatch.context() as patch:
            patch.setattr("driftline._core.places.monotonic", lambda: float("inf"))
            bus.subscribe("another.>")
        bus._kept.recent.clear()
        assert stream() is None
        with pytest.raises(PositionLost):
            bus.subscribe(*patterns, since=token)


# The end.


async def test_p10_closing_lets_readers_drain_and_then_ends_them() -> None:
    bus = Bus()
    readers = [bus.subscribe(*patterns) for patterns in (["a.b"], ["a.*"], ["a.b", "c"], [">"])]
    got: list[list[int]] = [[] for _ in readers]

    async def read(n: int) -> None:
        got[n] = [value async for value in readers[n]]

    async with anyio.create_task_group() as tasks:
        for n in range(len(readers)):
            tasks.start_soon(read, n)
        await anyio.wait_all_tasks_blocked()
        for value in range(3):
            bus.publish("a.b", value)
        bus.close()
        bus.close()
    assert got == [[0, 1, 2]] * 4
    assert bus.closed
    assert names(bus) == []


async def test_p10_closing_with_an_error_tells_every_reader_why() -> None:
    bus = Bus()
    readers = [bus.subscribe(*patterns) for patterns in (["a.b"], ["a.*"])]
    bus.publish("a.b", 1)
    why = OSError("the feed is gone")
    bus.close(why)
    for reader in readers:
        assert await reader.receive() == 1
        with pytest.raises(anyio.BrokenResourceError) as raised:
            await reader.receive()
        assert raised.value.__cause__ is why


@pytest.mark.parametrize(
    "use",
    [
        lambda bus: bus.topic("a"),
        lambda bus: bus.topic("b"),
        lambda bus: bus.publish("a", 1),
        lambda bus: bus.publish("b", 1),
        lambda bus: bus.publish_many("a", [1]),
        lambda bus: bus.subscribe("a"),
        lambda bus: bus.subscribe("a.*"),
        lambda bus: bus.subscribe("*"),
        lambda bus: bus.expect("*"),
    ],
    ids=[
        "topic",
        "new topic",
        "publish",
        "new publish",
        "many",
        "name",
        "pattern",
        "new",
        "expect",
    ],
)
def test_e2_a_closed_bus_refuses_everything(use: Callable[[Bus], object]) -> None:
    bus = Bus()
    held = bus.topic("a"), bus.subscribe("a.*")
    bus.close()
    with pytest.raises(anyio.ClosedResourceError):
        use(bus)
    assert names(bus) == []
    assert held[0].published == 0


def test_close_takes_an_exception() -> None:
    with pytest.raises(TypeError, match="close takes an exception"):
        Bus().close("why")  # type: ignore[arg-type]


async def test_leaving_a_block_closes_whatever_the_reason() -> None:
    for reason in (None, ValueError("body")):
        with suppress(ValueError):
            async with Bus() as bus:
                reader = bus.subscribe("*")
                bus.publish("a", 1)
                if reason is not None:
                    raise reason
        assert [value async for value in reader] == [1]
        with suppress(ValueError), Bus() as bus:
            reader = bus.subscribe("*")
            bus.publish("a", 1)
            if reason is not None:
                raise reason
        assert list(reader) == [1]


async def test_p10_with_hundreds_of_readers_and_threads_the_end_is_clean() -> None:
    before = set(threading.enumerate())
    counts: list[int] = []

    def read(subscription: Subscription[int]) -> None:
        counts.append(sum(1 for _ in subscription))

    async def read_here(subscription: Subscription[int]) -> None:
        counts.append(len([value async for value in subscription]))

    patterns = ["a.b", "a.*", ">", "*.b"]
    async with anyio.create_task_group() as tasks, Bus() as bus:
        threads = [
            threading.Thread(target=read, args=[bus.subscribe(patterns[n % 4])]) for n in range(40)
        ]
        for thread in threads:
            thread.start()
        for n in range(400):
            tasks.start_soon(read_here, bus.subscribe(patterns[n % 4]))
        await anyio.wait_all_tasks_blocked()
        for n in range(10):
            bus.publish("a.b", n)
    for thread in threads:
        thread.join(10)
    assert counts == [10] * 440
    assert set(threading.enumerate()) <= before
    assert bus.lags() == [] or all(row.lag == 0 for row in bus.lags())


# Looking.


def test_lags_that_are_equal_keep_the_order_in_which_they_began() -> None:
    bus = Bus()
    readers = [bus.subscribe(">", name=name) for name in "xyz"]
    bus.publish("a", 1)
    assert [row.name for row in bus.lags()] == ["x", "y", "z"]
    readers[1].receive_nowait()
    assert [row.name for row in bus.lags()] == ["x", "z", "y"]
    (stream,) = bus.statistics().streams
    assert [row.name for row in stream.subscriptions] == ["x", "z", "y"]


def test_p11_who_drains_a_closed_bus_is_visible_everywhere() -> None:
    bus = Bus()
    readers = [bus.subscribe("a"), bus.subscribe("*")]
    bus.publish("a", 1)
    bus.close()
    assert [row.lag for row in bus.lags()] == [1, 1]
    statistics = bus.statistics()
    assert [topic.closed for topic in (*statistics.topics, *statistics.streams)] == [True, True]
    assert len(readers) == len(bus.subscriptions())


def test_rates_of_a_bus_where_nothing_happens_are_0() -> None:
    bus = Bus()
    before = bus.statistics()
    while (after := bus.statistics()).taken_at <= before.taken_at:
        pass
    assert (after.rates(before).published, after.rates(before).received) == (0, 0)


def test_rates_are_the_difference_of_two_snapshots() -> None:
    bus = Bus()
    reader, topic = bus.subscribe("*"), bus.topic("a")
    topic.publish(0)
    reader.receive_nowait()
    before = bus.statistics()
    for n in range(10):
        topic.publish(n)
        bus.publish("b", n)
    late = bus.subscribe("a")
    topic.publish(10)
    late.receive_nowait()
    for _ in range(7):
        reader.receive_nowait()
    after = bus.statistics()
    rates = after.rates(before)
    seconds = after.taken_at - before.taken_at
    assert rates.seconds == seconds > 0
    assert round(rates.published * seconds) == 21
    assert round(rates.received * seconds) == 7  # `late` is not in both
    assert {name: round(rate * seconds) for name, rate in rates.topics.items()} == {
        "a": 11,
        "b": 10,
    }
    with pytest.raises(ValueError, match="earlier snapshot"):
        before.rates(after)
    with pytest.raises(ValueError, match="of the same bus"):
        Bus().statistics().rates(before)


async def test_a_watch_tells_of_readers_of_topics_and_of_patterns() -> None:
    bus = Bus()
    watch = bus.watch_lag(5, every=0.01)
    slow, gone = bus.subscribe("a.*", name="slow"), bus.subscribe("a.b", name="gone")
    for n in range(5):
        bus.publish("a.b", n)
    assert {(event.state, event.topic, event.name) for event in watch.look()} == {
        ("slow", "a.*", "slow"),
        ("slow", "a.b", "gone"),
    }
    gone.close()
    slow.skip_to_latest()
    events = {(event.state, event.topic, event.name) for event in watch.look()}
    assert events == {("gone", "a.b", "gone"), ("recovered", "a.*", "slow")}
    bus.close()
    assert [event async for event in watch] == []


def test_a_thread_sends_by_name() -> None:
    bus = Bus(limit=1)
    reader = bus.subscribe("a.*")
    bus.send_blocking("a.b", 1)
    with pytest.raises(TimeoutError):
        bus.send_blocking("a.b", 2, timeout=0.01)
    assert list(drain(reader)) == [1]
    bus.send_blocking("a.b", 2)
    assert list(drain(reader)) == [2]
