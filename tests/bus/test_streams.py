"""What subscriptions to patterns get: each message once, in one order, with all abilities."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest

import driftline
from driftline import (
    Bus,
    Lagged,
    Message,
    PositionLost,
    SlowConsumer,
    Subscription,
    forward,
)
from driftline._bus import history
from driftline._bus.topics import BusTopic
from driftline._core.invariants import check
from driftline._core.parking import WaitingRoom
from driftline._core.turn import Turn
from proof.interruptions import interrupt


def ready(subscription: Subscription[Any]) -> list[Any]:
    got = []
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            got.append(subscription.receive_nowait())
    return got


def messages(subscription: Subscription[Any]) -> list[tuple[str, int, Any]]:
    view = subscription.messages()
    got: list[Message[Any]] = []
    while subscription.lag:
        got.append(next(view))
    return [(message.topic, message.seq, message.value) for message in got]


def check_all(bus: Bus) -> None:
    """Assert the invariants of all topics and streams of a bus at rest."""
    joint = bus._joint
    assert not joint.inbox
    for reference in joint.members.copy():
        topic = reference()
        if topic is not None:
            check(topic)


def test_p2_topics_that_are_there_and_topics_that_come_later() -> None:
    bus = Bus()
    present = bus.topic("a.present")
    subscription = bus.subscribe("a.*", "b.>")
    present.publish(1)
    bus.publish("a.later", 2)
    bus.publish("b.c.d", 3)
    bus.publish("b", 0)
    bus.publish("a.b.c", 0)
    later = bus.subscribe("a.*", "b.>")
    present.publish_many([4, 5])
    assert messages(subscription) == [
        ("a.present", 1, 1),
        ("a.later", 1, 2),
        ("b.c.d", 1, 3),
        ("a.present", 2, 4),
        ("a.present", 3, 5),
    ]
    assert ready(later) == [4, 5]
    check_all(bus)


def test_p1_what_matches_several_patterns_comes_once() -> None:
    bus = Bus()
    subscription = bus.subscribe(">", "*", "a", "*.b")
    bus.publish("a", 1)
    bus.publish("a.b", 2)
    assert ready(subscription) == [1, 2]


def test_p3_all_streams_and_topics_agree_on_one_order() -> None:
    bus = Bus()
    readers = [bus.subscribe(*patterns) for patterns in (["a.*"], ["*.x"], [">"], ["a.x", "b.x"])]
    for n in range(50):
        bus.publish("a.x" if n % 3 else "b.x", n)
    bus.publish_many("a.x", range(50, 60))
    everything = list(range(60))
    assert [ready(reader) for reader in readers] == [
        [n for n in everything if n % 3 or n >= 50],
        everything,
        everything,
        everything,
    ]


def test_a_message_has_one_time_in_its_topic_and_nearly_that_in_a_stream() -> None:
    bus = Bus()
    own, all_of_them = bus.subscribe("a"), bus.subscribe(">")
    bus.publish("a", 1)
    (one,), (other,) = ([next(reader.messages())] for reader in (own, all_of_them))
    assert isinstance(one, Message)
    assert (one.topic, one.seq, one.value) == (other.topic, other.seq, other.value)
    assert abs(one.published_at - other.published_at) < 1


def test_p11_lag_is_counted_in_messages_seconds_and_bytes() -> None:
    bus = Bus(sizeof=len)
    subscription = bus.subscribe("a.*", name="slow")
    bus.topic("a.plain", sizeof=None, keep=True)
    bus.publish("a.b", b"12345")
    bus.publish("a.plain", object())
    bus.publish_many("a.b", [b"1", b"22", b"333"])
    assert (subscription.lag, subscription.lag_bytes) == (5, 11)
    assert subscription.lag_seconds > 0
    assert next(subscription) == b"12345"
    assert subscription.lag_bytes == 6
    check_all(bus)
    (row,) = bus.lags()
    assert (row.topic, row.name, row.lag, row.lag_bytes, row.received) == ("a.*", "slow", 4, 6, 1)


def test_without_sizes_of_the_bus_a_stream_knows_no_bytes() -> None:
    bus = Bus()
    subscription = bus.subscribe("*")
    bus.topic("a", sizeof=len, keep=True).publish_many([b"1", b"22"])
    assert subscription.lag_bytes is None
    check_all(bus)


async def test_every_way_to_read_works() -> None:
    bus = Bus()
    subscription = bus.subscribe("a.*")
    publish = partial(bus.publish, "a.b")
    for n in range(10):
        publish(n)
    fork = subscription.fork(name="fork")
    assert await subscription.receive() == 0
    assert await anext(aiter(subscription.batches(max_size=3))) == [1, 2, 3]
    assert subscription.skip(2) == 2
    assert await anext(aiter(subscription.latest_by(lambda value: value % 2))) == {0: 8, 1: 9}
    publish(10)
    publish(11)
    assert await anext(aiter(subscription.latest())) == 11
    assert (subscription.received, subscription.skipped, subscription.lag) == (7, 5, 0)
    assert ready(fork) == list(range(12))
    bus.close()
    assert [value async for value in subscription] == []
    check_all(bus)


@pytest.mark.parametrize("limit", [{"limit_seconds": 60}, {"limit_bytes": 1000}], ids=str)
def test_p8_a_limit_in_seconds_or_bytes_has_few_milestones_in_a_stream(limit: Any) -> None:
    bus = Bus(sizeof=len, **limit)
    reader = bus.subscribe("*")
    for _ in range(40):
        bus.publish("a", "x")
    assert 1 <= len(reader.topic._limits.milestones._marks) <= 4
    assert ready(reader) == ["x"] * 40
    check_all(bus)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_p8_a_limit_of_the_bus_bounds_its_streams_and_tells_what_was_missed(limit: int) -> None:
    bus = Bus(limit=limit)
    told = bus.subscribe("a.*")
    silent = bus.subscribe("a.*", on_lag="skip")
    for n in range(1000):
        bus.publish(f"a.{n % 7}", n)
    with pytest.raises(Lagged) as lagged:
        told.receive_nowait()
    assert lagged.value.topic == "a.*"
    kept = ready(told)
    assert kept == list(range(1000 - len(kept), 1000))
    assert limit <= len(kept) <= limit + limit // 8
    assert told.missed == lagged.value.missed == 1000 - len(kept)
    assert ready(silent) == kept
    check_all(bus)


def test_readers_of_a_stream_have_policies_of_their_own() -> None:
    bus = Bus()
    latest = bus.subscribe("a.*", max_lag=5, on_lag="latest")
    closed = bus.subscribe("a.*", max_lag=5, on_lag="close")
    patient = bus.subscribe("a.*")
    for n in range(20):
        bus.publish("a.b", n)
    assert ready(latest) == [19]
    with pytest.raises(SlowConsumer):
        closed.receive_nowait()
    assert ready(patient) == list(range(20))


# The past.


def test_a_stream_begins_with_what_the_matching_topics_keep_in_their_order() -> None:
    bus = Bus(replay=3, sizeof=lambda value: 10)
    topics = [bus.topic(name, keep=True) for name in ("a.x", "a.y", "b.x")]
    bus.topic("a.none", keep=True, replay=0).publish("never")
    live = bus.subscribe("a.*")
    for n in range(5):
        for topic in topics:
            topic.publish((topic.name, n))
    for replay, count in ((1, 1), (4, 4), (6, 6), (100, 6)):
        subscription = bus.subscribe("a.*", replay=replay)
        assert subscription.topic is live.topic
        assert (subscription.lag, subscription.lag_bytes) == (count, 10 * count)
        fork = subscription.fork()
        bus.publish("a.x", "live")
        expected = [(name, n) for n in range(2, 5) for name in ("a.x", "a.y")]
        got = messages(subscription)
        past = [("a.x", 5, ("a.x", 4)), ("a.y", 5, ("a.y", 4))]
        if replay == 4:
            assert got[2:4] == past
        if replay != 100:
            assert [value for _, _, value in got] == [*expected[6 - count :], "live"]
        assert ready(fork) == [value for _, _, value in got]
        assert subscription.received == count + 1
        topics = [bus.topic(name, keep=False) for name in ("a.x", "a.y")]
        del topics[:]
        bus = Bus(replay=3, sizeof=lambda value: 10)
        topics = [bus.topic(name, keep=True) for name in ("a.x", "a.y")]
        live = bus.subscribe("a.*")
        for n in range(5):
            for topic in topics:
                topic.publish((topic.name, n))


def test_the_past_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(replay_seconds=1000)
    now = 1e6
    for module in (
        "driftline._core.topic",
        "driftline._core.subscribable",
        "driftline._bus.history",
    ):
        monkeypatch.setattr(f"{module}.monotonic", lambda: now)
    a, b = bus.topic("a.a", keep=True), bus.topic("a.b", keep=True)
    for step in range(6):
        now = 1e6 + step
        (a if step % 2 else b).publish(step)
    assert ready(bus.subscribe("a.*", replay_seconds=2.5)) == [3, 4, 5]
    assert ready(bus.subscribe("a.*", replay_seconds=100, replay=2)) == [4, 5]


def test_the_past_within_the_limit_of_the_bus() -> None:
    bus = Bus(limit=4, replay=4)
    for name in ("a.a", "a.b"):
        bus.topic(name, keep=True).publish_many(range(10))
    subscription = bus.subscribe("a.*", replay=4)
    assert subscription.lag == 4
    check_all(bus)


def test_the_past_cannot_be_read_in_the_middle_of_a_publish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "_TRIES", 3)
    bus = Bus(replay=2)
    errors: list[RuntimeError] = []

    class Finalized:
        def __del__(self) -> None:
            try:
                bus.subscribe("*", replay=1)
            except RuntimeError as error:
                errors.append(error)

    bus.publish("a", 1)
    with pytest.MonkeyPatch.context() as patch:
        in_the_turn(patch, lambda: bus_finalizes(Finalized))
        bus.publish("a", 2)
    assert "in the middle of a publish()" in str(errors[0])
    assert ready(bus.subscribe("*", replay=2)) == [1, 2]


def test_w1_who_subscribes_in_the_middle_of_a_publish_gets_what_comes_after() -> None:
    bus = Bus()
    topic = bus.topic("a")
    late: list[Subscription[Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        in_the_turn(patch, lambda: late.append(bus.subscribe("*")))
        topic.publish(1)
    topic.publish(2)
    assert ready(late[0]) == [2]


def in_the_turn(patch: pytest.MonkeyPatch, function: Callable[[], object]) -> None:
    """Have a function called by whoever has the turn, where readers would be woken."""

    def wake(turn: Turn) -> None:
        turn.unwoken = None
        function()

    patch.setattr(Turn, "wake", wake)


def bus_finalizes(make: Callable[[], object]) -> None:
    make()


def test_a_position_of_a_stream_is_gone_on_from_exactly_or_lost() -> None:
    bus = Bus()
    subscription = bus.subscribe("a.*")
    bus.publish("a.b", 1)
    bus.publish("a.b", 2)
    assert subscription.receive_nowait() == 1
    token = str(subscription.park(60))
    bus.publish("a.c", 3)
    assert ready(bus.subscribe("a.*", since=token)) == [2, 3]
    with pytest.raises(PositionLost):
        bus.subscribe("a.>", since=token)


def test_a_place_in_the_past_of_a_stream_has_a_token_too() -> None:
    bus = Bus(replay=3)
    bus.topic("a", keep=True).publish_many([1, 2, 3])
    subscription = bus.subscribe("*", replay=3)
    token = str(subscription.park(60))
    assert token.endswith(".-3")
    assert ready(bus.subscribe("*", since=token)) == [1, 2, 3]


def test_p1_a_position_in_one_past_is_not_taken_for_one_in_another() -> None:
    bus = Bus(replay=2)
    topics = {name: bus.topic(name, keep=True) for name in ("t.a", "t.b")}
    live = bus.subscribe("t.*")
    topics["t.b"].publish_many(["b1", "b2"])
    topics["t.a"].publish_many([f"a{n}" for n in range(1, 9)])
    for _ in range(7):
        live.receive_nowait()
    tokens = [str(live.park(60))]
    late = bus.subscribe("t.*", replay=10)
    assert late.receive_nowait() == "b1"
    unparked = str(late.position)
    tokens.append(str(late.park(60)))
    assert tokens[1] == unparked
    assert [ready(bus.subscribe("t.*", since=token)) for token in tokens] == [
        ["a6", "a7", "a8"],
        ["b2", "a7", "a8"],
    ]
    other = bus.subscribe("t.*", replay=10)
    with pytest.raises(PositionLost):
        bus.subscribe("t.*", since=other.position)
    assert ready(other)[-1] == "a8"
    assert str(other.position) == str(bus.subscribe("t.*").position)


# Sending, expecting, forwarding.


def test_n4_who_is_about_to_publish_takes_a_place_with_each_reader_that_others_send_to() -> None:
    bus = Bus(limit=2)
    reader = bus.subscribe("*")
    bus.send_blocking("a", 0, timeout=0)
    passing = bus.topic("a")._sender()
    passing.enter()
    assert passing.may_publish()
    with pytest.raises(TimeoutError):
        bus.send_blocking("b", 1, timeout=0)
    passing.leave()
    bus.send_blocking("b", 2, timeout=0)
    assert ready(reader) == [0, 2]
    assert reader.missed == 0


def test_n4_a_message_that_another_thread_is_about_to_link_takes_a_place_where_it_comes() -> None:
    bus = Bus(limit=2)
    reader, others = bus.subscribe("a.*"), bus.subscribe("b")
    for name in ("a.x", "a.y", "b"):
        bus.topic(name, keep=True)._chains()  # as they are found before anybody sends
    del bus._joint.turn.free
    for number, name in enumerate(["a.x", "a.y"]):
        bus.send_blocking(name, number, timeout=0)
    with pytest.raises(TimeoutError):
        bus.send_blocking("a.x", 2, timeout=0)
    bus.send_blocking("b", 3, timeout=0)
    bus.send_blocking("b", 4, timeout=0)
    bus._joint.turn.free = True
    assert ready(reader) == [0, 1]
    assert ready(others) == [3, 4]


def test_n4_what_has_not_looked_at_the_patterns_may_come_to_any_stream() -> None:
    bus = Bus(limit=2)
    reader = bus.subscribe("a.*")
    topic = BusTopic[int](bus._joint, "b", {})
    assert topic._reaches(reader.topic)
    topic.settle()
    assert not topic._reaches(reader.topic)


async def test_k4_readers_of_patterns_are_told_although_that_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interruption(BaseException):
        pass

    def wake(room: WaitingRoom) -> None:
        monkeypatch.undo()
        raise Interruption

    bus = Bus()
    subscription = bus.subscribe("*")
    got: list[Any] = []

    async def read() -> None:
        got.append(await subscription.receive())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            monkeypatch.setattr(WaitingRoom, "wake", wake)
            with pytest.raises(Interruption):
                bus.publish("a", 1)
    assert got == [1]
    assert subscription.lag == 0


async def test_n2_senders_of_several_topics_with_a_reader_in_common_are_all_told_of_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("driftline._core.senders._PAUSE", 1_000.0)  # so that none looks by itself
    bus = Bus(limit=2)
    reader = bus.subscribe("a.*")
    for number in range(2):
        await bus.send("a.x", number)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for name in ("a.x", "a.y"):
                tasks.start_soon(bus.send, name, name)
            await anyio.wait_all_tasks_blocked()
            assert ready(reader) == [0, 1]
    assert sorted(ready(reader)) == ["a.x", "a.y"]


def test_n4_who_waits_for_a_reader_of_its_own_takes_no_place_with_others() -> None:
    bus = Bus(limit=2)
    slow, reader = bus.subscribe("a"), bus.subscribe("*")
    for n in range(2):
        bus.send_blocking("a", n, timeout=0)
    assert ready(reader) == [0, 1]
    bus.send_blocking("b", 2, timeout=0)
    waiting = bus.topic("a")._sender()
    waiting.enter()
    assert not waiting.may_publish()
    bus.send_blocking("b", 3, timeout=0)
    waiting.leave()
    assert ready(reader) == [2, 3]
    assert ready(slow) == [0, 1]


async def test_send_waits_for_the_slowest_reader_of_a_stream_too() -> None:
    bus = Bus(limit=2)
    subscription = bus.subscribe("a.*")
    for n in range(2):
        await bus.send("a.b", n)
    with anyio.move_on_after(0.2) as scope:
        await bus.send("a.b", "too early")
    assert scope.cancelled_caught
    async with anyio.create_task_group() as tasks:
        for n in range(2, 20):
            tasks.start_soon(bus.send, "a.b", n)
        got = [await subscription.receive() for _ in range(20)]
    assert sorted(got) == list(range(20))  # trio starts tasks in any order
    assert subscription.missed == 0


async def test_send_refuses_a_limit_of_the_bus_for_which_it_does_not_wait() -> None:
    bus = Bus(limit=100, limit_bytes=100, sizeof=len)
    topic = bus.topic("a", limit_bytes=None)
    await topic.send("enough")
    subscription = bus.subscribe("*")
    with pytest.raises(ValueError, match="would lose messages to limit_bytes"):
        await topic.send("x")
    assert subscription.lag == 0


async def test_expect_takes_what_is_published_from_the_call_on() -> None:
    bus = Bus()
    bus.publish("a.b", "before")
    first = bus.expect("a.*")
    seventh = bus.expect("a.*", "b", where=lambda message: message.value == 7)
    for n in range(10):
        bus.publish("a.b" if n % 2 else "b", n)
    message = await first
    assert (message.topic, message.value) == ("a.b", 1)
    assert (await seventh).value == 7
    with anyio.move_on_after(0) as scope:
        await bus.expect("a.*")
    assert scope.cancelled_caught
    assert bus.lags() == []
    unanswered = bus.expect("c")
    bus.close()
    with pytest.raises(anyio.EndOfStream):
        await unanswered


async def test_forward_says_what_it_takes() -> None:
    bus = Bus()
    with pytest.raises(TypeError, match="forward takes a subscription, such as"):
        await forward(bus, bus)  # type: ignore[arg-type]


async def test_forward_publishes_on_another_bus_or_topic_until_the_end() -> None:
    source, target = Bus(), Bus()
    topic = driftline.Topic[int]("all")
    there, all_of_them = target.subscribe("a.>"), topic.subscribe()
    counts: list[int] = []

    async def pass_on(to: Any) -> None:
        counts.append(await forward(subscriptions.pop(), to))

    subscriptions = [source.subscribe(">"), source.subscribe(">")]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on, target)
        tasks.start_soon(pass_on, topic)
        for n in range(10):
            source.publish(f"a.{n % 2}", n)
        source.close()
    assert counts == [10, 10]
    assert [name for name, _, _ in messages(there)] == ["a.0", "a.1"] * 5
    assert ready(all_of_them) == list(range(10))
    with pytest.raises(TypeError, match="forward goes to a Bus or a Topic"):
        await forward(all_of_them, "elsewhere")  # type: ignore[arg-type]


# Interruptions.


def publish_one(bus: Bus) -> None:
    bus.publish("a.b", 1)


def publish_three(bus: Bus) -> None:
    bus.publish_many("a.b", [1, 2, 3])


def publish_anew(bus: Bus) -> None:
    bus.publish("a.new", 1)


def subscribe_and_publish(bus: Bus) -> None:
    with bus.subscribe("*.b", "new"):
        bus.publish("a.b", 1)


def close_topic(bus: Bus) -> None:
    bus.publish("a.b", 1)
    bus.topic("a.b").close()
    bus.publish("a.b", 2)


def test_wherever_control_c_comes_the_name_of_a_closed_topic_can_be_used_again() -> None:
    places = 0
    while True:
        bus = Bus(replay=1)
        topic = bus.topic("a", keep=True)
        if not interrupt(topic.close, places, within=[driftline]):
            break
        places += 1
        if topic.closed:
            reader = bus.subscribe("*")
            bus.publish("a", 1)
            assert ready(reader) == [1]
            assert bus.topic("a") is not topic
            assert bus._kept.topics == {}, f"at place {places}"
    assert places > 20


def test_wherever_control_c_comes_while_others_subscribe_a_parked_place_is_kept() -> None:
    places = 0
    while True:
        bus = Bus()
        token = bus.subscribe("a.*").park(60)
        bus.publish("a.b", 1)
        if not interrupt(partial(bus.subscribe, "b.*"), places, within=[driftline]):
            break
        places += 1
        assert ready(bus.subscribe("a.*", since=token)) == [1], f"at place {places}"
    assert places > 20


@pytest.mark.parametrize(
    ("step", "limit"),
    [
        (publish_one, None),
        (publish_one, 2),
        (publish_three, None),
        (publish_anew, None),
        (subscribe_and_publish, None),
        (close_topic, None),
    ],
)
def test_k4_v1_wherever_control_c_comes_all_chains_have_the_same_messages(
    step: Callable[[Bus], None], limit: int | None
) -> None:
    places = 0
    while True:
        bus = Bus(limit=limit, replay=10 if limit is None else 0)
        held = bus.topic("a.b")
        readers = [bus.subscribe(*each, on_lag="skip") for each in (["a.*"], [">"], ["a.*", "b"])]
        own = held.subscribe(on_lag="skip")
        held.publish_many([-1, 0])
        if not interrupt(partial(step, bus), places, within=[driftline]):
            break
        places += 1
        if limit is None and not held.closed:  # what a topic keeps is in no stream that comes later
            readers.append(bus.subscribe("a.*", replay=10))
        bus.publish("a.c", "last")
        check_all(bus)
        got = [messages(reader) for reader in readers]
        if not held.closed and step is not publish_anew:
            got.append([*messages(own), ("a.c", 1, "last")])
        longest = max(got, key=len)
        for each in got:  # limits are coarse, and an interruption may put off a cut
            assert longest[-len(each) :] == each, f"at place {places}"
            assert each[-1][2] == "last"
            assert limit or each == longest, f"at place {places}"
        values = [value for _, _, value in longest[:-1] if value > 0]
        assert values in ([], [1], [1, 2], [2], [1, 2, 3]), f"wrong at place {places}"
        bus.close()
        assert not any(reader.lag for reader in readers)
    assert places > 20


def test_i2_nothing_comes_behind_the_end_of_a_stream() -> None:
    """A topic that another thread makes while the bus is closed is closed a moment later."""
    bus = Bus()
    subscription = bus.subscribe("*")
    bus.close()
    late: BusTopic[int] = BusTopic(bus._joint, "late", {})
    late.publish(1)
    with pytest.raises(anyio.EndOfStream):
        subscription.receive_nowait()
    assert subscription.lag == 0
    check(subscription.topic)
