"""P8 and P1: what slow readers keep, what they are told, and how to publish without loss."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from driftline import Lagged, OnLag, SlowConsumer, Subscription, Topic
from driftline._core import places, replay, subscribable, tolerance
from driftline._core.limits import Limits
from driftline._core.link import Gap, Link, Milestone
from driftline._core.senders import Sender

PATIENCE = 10.0  # seconds after which a test that waits has failed
SLICE = 1_000  # messages that are freed in one turn of an event loop at most


class Payload:
    """Something that can be seen to die."""


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    modules: list[Any] = [places, replay, subscribable, tolerance]
    for module in modules:
        if hasattr(module, "monotonic"):
            monkeypatch.setattr(module, "monotonic", clock)
    for name in ("topic", "limits", "visible"):
        monkeypatch.setattr(f"driftline._core.{name}.monotonic", clock)
    return clock


def payloads(topic: Topic[Any], messages: int) -> list[weakref.ref[Payload]]:
    references = []
    for _ in range(messages):
        payload = Payload()
        references.append(weakref.ref(payload))
        topic.publish(payload)
    return references


def alive(references: list[weakref.ref[Payload]]) -> int:
    return sum(reference() is not None for reference in references)


def counts(subscription: Subscription[Any]) -> tuple[int, int, int]:
    """Return what it received, missed and skipped, having compared them with its position."""
    found = (subscription.received, subscription.missed, subscription.skipped)
    assert sum(found) == subscription.position.seq - subscription._start
    if not subscription.closed:
        assert subscription.lag == subscription.topic.published - subscription.position.seq
    return found


def rest(subscription: Subscription[Any]) -> Iterator[Any]:
    """Read what is ready, with the exceptions in their places."""
    while True:
        try:
            yield subscription.receive_nowait()
        except anyio.WouldBlock:
            return
        except Lagged as lagged:
            yield f"missed {lagged.missed}"


# The table of docs/slow-readers.md, row by row, for a topic with `limit=10`, on which a hundred
# messages were published, and for a reader with `max_lag=10` on a topic without.

TOPIC = pytest.mark.parametrize(
    ("topic_limit", "max_lag"), [(10, None), (None, 10)], ids=["limit", "max_lag"]
)


def stalled(topic_limit: int | None, max_lag: int | None, on_lag: OnLag) -> Subscription[int]:
    topic = Topic[int]("prices", limit=topic_limit)
    subscription = topic.subscribe(name="slow", max_lag=max_lag, on_lag=on_lag)
    for number in range(100):
        topic.publish(number)
    return subscription


@TOPIC
def test_p1_p8_raise_tells_once_and_goes_on_with_the_oldest(
    topic_limit: int | None, max_lag: int | None
) -> None:
    subscription = stalled(topic_limit, max_lag, "raise")
    assert (counts(subscription), subscription.lag) == ((0, 0, 0), 100)
    with pytest.raises(Lagged, match="'slow' of the topic 'prices' has missed 90") as caught:
        subscription.receive_nowait()
    told = caught.value
    assert (told.missed, told.topic, told.subscription) == (90, "prices", "slow")
    assert counts(subscription) == (0, 90, 0)
    assert list(rest(subscription)) == list(range(90, 100))
    assert counts(subscription) == (10, 90, 0)


@TOPIC
def test_p1_p8_skip_goes_on_with_the_oldest_and_only_counts(
    topic_limit: int | None, max_lag: int | None
) -> None:
    subscription = stalled(topic_limit, max_lag, "skip")
    assert list(rest(subscription)) == list(range(90, 100))
    assert counts(subscription) == (10, 90, 0)


@TOPIC
def test_p1_p8_latest_goes_on_with_the_newest_and_only_counts(
    topic_limit: int | None, max_lag: int | None
) -> None:
    subscription = stalled(topic_limit, max_lag, "latest")
    assert list(rest(subscription)) == [99]
    assert counts(subscription) == (1, 99, 0)


@TOPIC
def test_p1_p8_close_tells_and_closes(topic_limit: int | None, max_lag: int | None) -> None:
    subscription = stalled(topic_limit, max_lag, "close")
    with pytest.raises(SlowConsumer, match="'slow' of the topic 'prices' has missed 90") as caught:
        subscription.receive_nowait()
    assert caught.value.missed == 90
    assert subscription.closed
    assert counts(subscription) == (0, 90, 0)
    assert not subscription.topic.subscriptions()
    with pytest.raises(anyio.ClosedResourceError):
        subscription.receive_nowait()


def test_p8_without_a_limit_a_reader_gets_everything_and_everything_is_kept() -> None:
    topic = Topic[Payload]()
    subscription = topic.subscribe()
    references = payloads(topic, 5_000)
    assert alive(references) == 5_000
    assert sum(1 for _ in rest(subscription)) == 5_000
    assert counts(subscription) == (5_000, 0, 0)
    assert alive(references) == 0


@pytest.mark.parametrize("on_lag", ["raise", "skip", "latest", "close"])
def test_p8_max_lag_is_looked_at_when_reading_and_bounds_no_memory(on_lag: OnLag) -> None:
    topic = Topic[Payload]()
    subscription = topic.subscribe(max_lag=10, on_lag=on_lag)
    references = payloads(topic, 500)
    assert alive(references) == 500
    with suppress(Lagged, SlowConsumer):
        subscription.receive_nowait()
    kept = {"raise": 10, "skip": 9, "latest": 0, "close": 0}
    assert alive(references) == kept[on_lag]


# P8, memory.

LIMITS = [1, 2, 7, 16, 33, 100, 1_000]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("on_lag", ["raise", "close"])
def test_p8_d1_a_stalled_reader_keeps_the_limit_and_little_more(limit: int, on_lag: OnLag) -> None:
    topic = Topic[Payload](limit=limit)
    stalled, fast = topic.subscribe(on_lag=on_lag), topic.subscribe()
    references = []
    for published in range(1, 3 * limit + 300):
        references += payloads(topic, 1)
        fast.receive_nowait()
        if published % max(1, limit // 8) == 0:
            kept = alive(references)
            references = [reference for reference in references if reference() is not None]
            assert min(limit, published) <= kept <= limit + min(64, limit // 8)
    assert counts(fast) == (topic.published, 0, 0)
    with pytest.raises(Lagged if on_lag == "raise" else SlowConsumer) as caught:
        stalled.receive_nowait()
    missed = caught.value.missed
    assert 0 <= topic.published - missed - limit <= min(64, limit // 8)
    assert stalled.missed == missed


def test_p8_many_stalled_readers_keep_no_more_than_one() -> None:
    topic = Topic[Payload](limit=16)
    references: list[weakref.ref[Payload]] = []
    stalled = []
    for _ in range(100):  # each begins somewhere else
        stalled.append(topic.subscribe(on_lag="skip"))
        references += payloads(topic, 3)
        assert alive(references) <= 18
    for subscription in stalled:
        got = list(rest(subscription))
        assert len(got) <= 18
        assert subscription.received + subscription.missed == 300 - subscription._start
    assert alive(references) == 0 or got


def test_p8_a_cut_disturbs_nobody_within_the_limit() -> None:
    topic = Topic[int](limit=10)
    stalled, within = topic.subscribe(), topic.subscribe()
    got: list[object] = []
    for number in range(200):
        topic.publish(number)
        if number % 10 == 9:  # ten behind, which is the limit
            got += rest(within)
    assert got == list(range(200))
    assert counts(within) == (200, 0, 0)
    assert next(rest(stalled)) == "missed 190"


def test_l2_a_reader_just_at_the_limit_is_not_cut_with_one_behind_it() -> None:
    topic = Topic[int]("topic", limit=4)
    stalled, edge = topic.subscribe(), topic.subscribe()
    got: list[int] = []
    for value in range(40):
        topic.publish(value)
        while edge.lag >= 4:
            got.append(edge.receive_nowait())
    assert got == list(range(37))
    assert edge.missed == 0
    with pytest.raises(Lagged):
        stalled.receive_nowait()


def test_p8_a_limit_of_one_keeps_the_newest() -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe()
    topic.publish(0)
    assert list(rest(subscription)) == [0]
    for number in (1, 2, 3):
        topic.publish(number)
    assert list(rest(subscription)) == ["missed 2", 3]
    assert counts(subscription) == (2, 2, 0)


def test_p8_many_messages_at_once_are_cut_like_one_by_one() -> None:
    topic = Topic[Payload](limit=10)
    subscription = topic.subscribe()
    everything = [Payload() for _ in range(100)]
    references = [weakref.ref(payload) for payload in everything]
    topic.publish_many(everything)
    del everything
    assert alive(references) == 10
    assert len(list(rest(subscription))) == 1 + 10
    assert counts(subscription) == (10, 90, 0)


def test_p8_a_limit_that_is_lowered_to_where_many_milestones_are_behind_cuts_no_more() -> None:
    topic = Topic[int]()
    reader = topic.subscribe(on_lag="skip")
    far_back, apart = 257, 1024  # as many as are looked at in one step, and one
    topic.publish_many(range((far_back + 5) * apart))
    topic.limit = 5 * apart + apart // 2
    topic.publish(-1)
    assert topic.limit <= len(list(rest(reader))) <= topic.limit + apart


def test_p8_a_limit_in_bytes_that_is_reached_exactly_keeps_no_more() -> None:
    topic = Topic[int](limit_bytes=1_600, sizeof=lambda size: size)
    reader = topic.subscribe(on_lag="skip")
    for _ in range(1_000):
        topic.publish(100)
    assert sum(rest(reader)) == 1_600


def test_p8_d4_a_limit_in_bytes_holds() -> None:
    topic = Topic[bytes](limit_bytes=1_000, sizeof=len)
    subscription = topic.subscribe(on_lag="skip")
    sizes = (1, 900, 0, 99, 500, 30, 2_000, 10)
    for number in range(400):
        topic.publish(bytes(sizes[number % len(sizes)]))
        kept = subscription.fork()
        bound = 1_000 + 1_000 // 8 + max(sizes)
        assert sum(map(len, rest(kept))) <= bound
    assert sum(counts(kept)[:2]) == 400
    assert list(rest(subscription))[-2:] == [bytes(2_000), bytes(10)]


def test_p8_a_limit_in_seconds_holds_with_the_next_message(clock: Clock) -> None:
    topic = Topic[int](limit_seconds=16)
    subscription = topic.subscribe()
    for number in range(100):
        topic.publish(number)
        clock.now += 1
    clock.now += 1_000  # nothing happens without a message
    assert list(rest(subscription.fork())) == ["missed 83", *range(83, 100)]
    topic.publish(100)
    assert list(rest(subscription)) == ["missed 99", 99, 100]


def test_p8_limits_change_while_running() -> None:
    topic = Topic[Payload](sizeof=lambda _: 10)
    subscription = topic.subscribe(on_lag="skip")
    references = payloads(topic, 3_000)
    assert (topic.limit, topic.limit_bytes, topic.limit_seconds) == (None, None, None)
    topic.limit = 100
    references += payloads(topic, 120)
    assert 100 <= alive(references) <= 112
    topic.limit = 7
    references += payloads(topic, 100)
    assert alive(references) == 7
    topic.limit = None
    references += payloads(topic, 100)
    assert alive(references) == 107
    topic.limit_bytes = 320
    assert (topic.limit, topic.limit_bytes) == (None, 320)
    references += payloads(topic, 100)
    assert 32 <= alive(references) <= 36
    received = sum(1 for _ in rest(subscription))
    assert counts(subscription) == (received, 3_420 - received, 0)
    assert 32 <= received <= 36


def test_p8_what_a_reader_tolerates_changes_while_running() -> None:
    topic = Topic[int]("prices", sizeof=lambda _: 10)
    subscription = topic.subscribe()
    topic.publish_many(range(100))
    assert subscription.receive_nowait() == 0
    subscription.max_lag = 50
    assert next(rest(subscription)) == "missed 49"
    subscription.on_lag = "skip"
    subscription.max_lag_bytes = 200
    assert (subscription.max_lag, subscription.max_lag_bytes) == (50, 200)
    assert subscription.receive_nowait() == 80
    subscription.max_lag = subscription.max_lag_bytes = None
    subscription.on_lag = "latest"
    assert subscription.receive_nowait() == 81
    subscription.max_lag = 5
    assert subscription.receive_nowait() == 99
    assert counts(subscription) == (4, 96, 0)


def test_p8_a_reader_may_tolerate_only_so_much_age(clock: Clock) -> None:
    topic = Topic[int]()
    subscription = topic.subscribe(max_lag_seconds=10)
    for number in range(100):
        topic.publish(number)
        clock.now += 1
    assert list(rest(subscription)) == ["missed 90", *range(90, 100)]
    topic.publish(100)
    clock.now += 11
    assert list(rest(subscription)) == ["missed 1"]


# P1, gaps.


def test_p1_d2_a_reader_that_lags_again_before_reading_is_told_again() -> None:
    topic = Topic[int](limit=10)
    subscription = topic.subscribe()
    topic.publish_many(range(30))
    assert next(rest(subscription)) == "missed 20"
    topic.publish_many(range(30, 45))
    assert next(rest(subscription)) == "missed 15"
    topic.publish_many(range(45, 50))
    assert list(rest(subscription)) == ["missed 5", *range(40, 50)]
    assert counts(subscription) == (10, 40, 0)


VIEWS: dict[str, tuple[Callable[[Subscription[int]], Any], object, tuple[int, int, int]]] = {
    "receive": (lambda subscription: subscription, 90, (1, 90, 0)),
    "batches": (
        lambda subscription: subscription.batches(),
        list(range(90, 100)),
        (10, 90, 0),
    ),
    "small batches": (lambda subscription: subscription.batches(3), [90, 91, 92], (3, 90, 0)),
    "latest": (lambda subscription: subscription.latest(), 99, (1, 90, 9)),
    "latest_by": (
        lambda subscription: subscription.latest_by(lambda value: value % 2),
        {0: 98, 1: 99},
        (2, 90, 8),
    ),
    "messages": (lambda subscription: subscription.messages(), (91, 90), (1, 90, 0)),
}


@pytest.mark.parametrize(("view", "item", "counted"), VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("on_lag", ["raise", "skip"])
@TOPIC
async def test_p1_every_way_to_read_meets_a_gap_alike(
    view: Callable[[Subscription[int]], Any],
    item: object,
    counted: tuple[int, int, int],
    on_lag: OnLag,
    topic_limit: int | None,
    max_lag: int | None,
) -> None:
    in_task = stalled(topic_limit, max_lag, on_lag)
    in_thread = in_task.fork()
    if on_lag == "raise":
        with pytest.raises(Lagged) as caught:
            await anext(view(in_task))
        assert caught.value.missed == 90
        with pytest.raises(Lagged):
            next(view(in_thread))
    for got in (await anext(view(in_task)), next(view(in_thread))):
        assert ((got.seq, got.value) if view is VIEWS["messages"][0] else got) == item
    assert counts(in_task) == counts(in_thread) == counted


async def test_p1_a_reader_that_waits_behind_a_gap_gets_the_next_message() -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe(on_lag="latest")
    topic.publish_many(range(5))
    got: list[int] = []

    async def read() -> None:
        async for value in subscription:
            got.append(value)  # noqa: PERF401  # seen while it goes on

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            topic.publish(5)
            await anyio.wait_all_tasks_blocked()
            topic.publish_many([6, 7, 8])
            await anyio.wait_all_tasks_blocked()
            topic.close()
    assert got == [4, 5, 8]
    assert counts(subscription) == (3, 6, 0)


@pytest.mark.parametrize("n", [1, 89, 90, 91, 95, 99, 100, 1_000])
def test_p1_a_skip_over_a_gap_counts_as_skipped(n: int) -> None:
    subscription = stalled(10, None, "raise")
    skipped = min(n, 100)
    assert subscription.skip(n) == skipped
    assert counts(subscription) == (0, 0, skipped)
    missed = [f"missed {90 - skipped}"] if skipped < 90 else []
    assert list(rest(subscription)) == missed + list(range(max(skipped, 90), 100))


def test_p1_skipping_to_the_latest_passes_over_a_gap() -> None:
    subscription = stalled(10, None, "raise")
    assert subscription.skip_to_latest() == 99
    assert list(rest(subscription)) == [99]
    assert counts(subscription) == (1, 0, 99)


def test_p1_a_fork_of_a_cut_subscription_is_told_for_itself() -> None:
    subscription = stalled(10, None, "raise")
    before = subscription.fork(name="before")
    topic = subscription.topic
    assert next(rest(subscription)) == "missed 90"
    after = subscription.fork(name="after")
    topic.publish(100)
    assert list(rest(before)) == ["missed 91", *range(91, 101)]
    assert list(rest(after)) == ["missed 1", *range(91, 101)]
    assert (counts(before), counts(after)) == ((10, 91, 0), (10, 1, 0))
    assert before.on_lag == "raise"


def test_p1_a_fork_tolerates_what_the_original_does() -> None:
    topic = Topic[int](sizeof=lambda _: 1)
    subscription = topic.subscribe(
        max_lag=1, max_lag_seconds=2, max_lag_bytes=3, on_lag="latest"
    ).fork()
    found = (subscription.max_lag, subscription.max_lag_seconds, subscription.max_lag_bytes)
    assert (*found, subscription.on_lag) == (1, 2, 3, "latest")


@pytest.mark.parametrize("error", [None, OSError("the feed is gone")], ids=["closed", "failed"])
def test_p1_p10_a_closed_topic_tells_of_a_gap_and_drains(error: OSError | None) -> None:
    topic = Topic[int](limit=10)
    subscription = topic.subscribe()
    topic.publish_many(range(100))
    topic.close(error)
    end = anyio.EndOfStream if error is None else anyio.BrokenResourceError
    reading = rest(subscription)
    assert [next(reading) for _ in range(11)] == ["missed 90", *range(90, 100)]
    with pytest.raises(end):
        next(reading)
    assert counts(subscription) == (10, 90, 0)


def test_p1_d3_a_cut_in_the_middle_of_reading_is_exact() -> None:
    topic = Topic[int](limit=8)
    readers = [topic.subscribe(name=str(n)) for n in range(2)]
    problems: list[str] = []

    def read(subscription: Subscription[int]) -> None:
        expected = 0
        while True:
            try:
                value = subscription.receive_blocking(PATIENCE)
            except Lagged as lagged:
                expected += lagged.missed
                continue
            except anyio.EndOfStream:
                break
            if value != expected:
                problems.append(f"{subscription.name} got {value}, not {expected}")
            expected = value + 1
        if expected != 20_000 or sum(counts(subscription)) != 20_000:
            problems.append(f"{subscription.name} ended at {expected}")

    threads = [threading.Thread(target=read, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for number in range(20_000):
        topic.publish(number)
    topic.close()
    for thread in threads:
        thread.join()
    assert not problems


async def test_p1_a_reader_that_was_just_woken_never_stands_at_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another thread cuts: it has led the link to the gap, and not yet taken its message away."""
    topic = Topic[int]()
    subscription = topic.subscribe(on_lag="skip")
    found = Subscription._has_next

    def found_and_cut(reader: Subscription[int], *arguments: type[Exception]) -> bool:
        monkeypatch.undo()
        assert found(reader, *arguments)
        kept: Any = Milestone()
        kept.seq, kept.value, kept.time, kept.next = 2, 2, 0.0, Link()
        reader._link.next = Gap(kept)
        topic._end = kept.next, 3
        return True

    topic.publish(0)
    subscription._mask = 0  # so that it looks with each message
    monkeypatch.setattr(Subscription, "_has_next", found_and_cut)
    with anyio.fail_after(PATIENCE):
        assert await subscription.receive() == 2
    assert (subscription.received, subscription.missed) == (1, 2)


async def test_d5_a_publisher_that_never_yields_stays_within_the_limit() -> None:
    topic = Topic[int](limit=100)
    subscription = topic.subscribe(on_lag="skip")
    got: list[int] = []

    async def read() -> None:
        async for value in subscription:
            got.append(value)  # noqa: PERF401  # seen while it goes on

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            for number in range(20_000):
                topic.publish(number)
            assert not got  # nobody else could run
            topic.close()
    assert got[-1] == 19_999
    assert 100 <= len(got) <= 112
    assert sum(counts(subscription)) == 20_000


async def test_d5_send_is_the_way_out() -> None:
    topic = Topic[int](limit=4)
    subscription = topic.subscribe()
    got: list[int] = []

    async def read() -> None:
        async for value in subscription:
            got.append(value)  # noqa: PERF401  # seen while it goes on

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for number in range(200):
                await topic.send(number)
                assert subscription.lag <= 4
            topic.close()
    assert got == list(range(200))
    assert counts(subscription) == (200, 0, 0)


# P9.


class Counted:
    """A payload that counts the living."""

    living = 0

    def __init__(self) -> None:
        Counted.living += 1

    def __del__(self) -> None:
        Counted.living -= 1


def cut(subscription: Subscription[Any], topic: Topic[Any]) -> None:
    topic.limit = 1
    topic.publish(None)
    topic.publish(None)


def keep_up(subscription: Subscription[Any], topic: Topic[Any]) -> None:
    subscription.max_lag = 1
    assert next(rest(subscription)) == "missed 19999"
    subscription.receive_nowait()


def close(subscription: Subscription[Any], topic: Topic[Any]) -> None:
    subscription.max_lag = 1
    subscription.on_lag = "close"
    with pytest.raises(SlowConsumer):
        subscription.receive_nowait()


def grow_old(subscription: Subscription[Any], topic: Topic[Any]) -> None:
    subscription.close()
    topic._replay.seconds = -1  # type: ignore[union-attr]
    topic.publish(None)


@pytest.mark.parametrize("drop", [cut, keep_up, close, grow_old])
async def test_p9_cutting_a_reader_far_behind_frees_in_slices_between_which_others_run(
    drop: Callable[[Subscription[Any], Topic[Any]], None],
) -> None:
    Counted.living = 0
    topic = Topic[Any](replay_seconds=1_000) if drop is grow_old else Topic[Any]()
    subscription = topic.subscribe()
    topic.publish_many([Counted() for _ in range(20_000)])
    drop(subscription, topic)
    before = 20_000
    assert before - Counted.living <= 2 * SLICE
    turns = 0
    with anyio.fail_after(PATIENCE):
        while Counted.living:
            before = Counted.living
            await checkpoint()
            assert before - Counted.living <= 2 * SLICE  # on either side of the turn of this task
            turns += 1
    assert turns >= 5


def test_p9_publishing_does_not_look_through_the_readers_for_each_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = count()
    cut_before = Limits._cut_before

    def counted(*arguments: Any) -> None:
        next(looked)
        cut_before(*arguments)

    monkeypatch.setattr(Limits, "_cut_before", counted)
    topic = Topic[int](limit=1_000)
    stalled, healthy = topic.subscribe(), topic.subscribe()
    for number in range(10_000):
        topic.publish(number)
        healthy.receive_nowait()
    assert next(looked) <= 2  # afterwards the gap is moved on
    assert stalled.lag == 10_000


# P2, P10: replay.


def test_p2_replay_gives_what_was_published_before_and_then_what_comes() -> None:
    topic = Topic[int](replay=5)
    assert list(rest(topic.subscribe(replay=3))) == []
    topic.publish_many(range(10))
    some, all_kept, none = (topic.subscribe(replay=n) for n in (3, 5, 0))
    topic.publish(10)
    assert list(rest(some)) == [7, 8, 9, 10]
    assert list(rest(all_kept)) == [5, 6, 7, 8, 9, 10]
    assert list(rest(none)) == [10]
    assert (counts(some), some.position.seq) == ((4, 0, 0), 11)
    assert [message.seq for message in [next(topic.subscribe(replay=1).messages())]] == [11]


def test_p2_a_replay_is_exact_when_very_many_were_published_at_once() -> None:
    topic = Topic[int]("topic", replay=5)
    topic.publish_many(range(5_000))
    assert list(rest(topic.subscribe(replay=5))) == [4_995, 4_996, 4_997, 4_998, 4_999]


def test_p10_a_closed_topic_replays_and_then_ends() -> None:
    topic = Topic[int](replay=2)
    topic.publish_many(range(5))
    topic.close()
    assert list(topic.subscribe(replay=2)) == [3, 4]
    assert list(topic.subscribe()) == []


def test_p8_a_replay_keeps_no_more_than_that() -> None:
    topic = Topic[Payload](replay=5)
    references = payloads(topic, 50)
    assert alive(references) == 5
    readers = [topic.subscribe(replay=5) for _ in range(10)]
    assert alive(references) == 5
    for reader in readers:
        assert len(list(rest(reader))) == 5
    references += payloads(topic, 5)
    del reader, readers
    assert alive(references) == 5


def test_replay_seconds(clock: Clock) -> None:
    topic = Topic[int](replay_seconds=10)
    for number in range(100):
        topic.publish(number)
        clock.now += 1
    assert list(rest(topic.subscribe(replay_seconds=3))) == [97, 98, 99]
    assert list(rest(topic.subscribe(replay_seconds=10))) == list(range(90, 100))
    assert list(rest(topic.subscribe(replay=2, replay_seconds=3))) == [98, 99]
    assert list(rest(topic.subscribe(replay=5, replay_seconds=3))) == [97, 98, 99]
    clock.now += 5
    assert list(rest(topic.subscribe(replay_seconds=10))) == list(range(95, 100))
    clock.now += 50
    assert list(rest(topic.subscribe(replay_seconds=10))) == []


def test_replay_by_messages_and_seconds_keeps_what_both_allow(clock: Clock) -> None:
    topic = Topic[int](replay=3, replay_seconds=10)
    topic.publish_many(range(5))
    assert list(rest(topic.subscribe(replay=3))) == [2, 3, 4]
    clock.now += 11
    topic.publish(5)
    assert list(rest(topic.subscribe(replay=3))) == [5]


def test_p8_replay_by_age_stays_within_the_limit() -> None:
    topic = Topic[int](limit=10, replay_seconds=1_000)
    topic.publish_many(range(100))
    assert list(rest(topic.subscribe(replay_seconds=1_000))) == list(range(90, 100))
    topic.limit = 20
    topic.publish_many(range(100, 200))
    assert list(rest(topic.subscribe(replay_seconds=1_000))) == list(range(180, 200))
    topic.limit = 5
    topic.publish(200)
    assert list(rest(topic.subscribe(replay_seconds=1_000))) == list(range(196, 201))


def test_p1_p2_replay_has_no_gap_and_no_duplicate_while_others_publish() -> None:
    topic = Topic[int](replay=20)
    stop = threading.Event()

    def publish() -> None:
        for number in count():
            if stop.is_set():
                return
            topic.publish(number)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        subscriptions = [topic.subscribe(replay=20)]
        while len(subscriptions) < 100 or topic.published < subscriptions[0]._start + 100:
            subscriptions.append(topic.subscribe(replay=len(subscriptions) % 20 + 1))
            if len(subscriptions) > 100:
                del subscriptions[50]
    finally:
        stop.set()
        publisher.join()
    topic.close()
    assert topic.published
    for subscription in subscriptions:
        start = subscription._start
        assert list(subscription) == list(range(start, topic.published))


# Lossless.


async def blocked(topic: Topic[Any], senders: int) -> None:
    """Return when so many senders stand in the queue."""
    with anyio.fail_after(PATIENCE):
        while len(topic._senders.queue) < senders:  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(0.001)


async def blocked_no_more(topic: Topic[Any], senders: int) -> None:
    """Return when at most so many senders stand in the queue."""
    with anyio.fail_after(PATIENCE):
        while len(topic._senders.queue) > senders:  # noqa: ASYNC110  # nobody tells
            await anyio.sleep(0.001)


def no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have senders wait until they are told, and not look by themselves now and then."""
    monkeypatch.setattr("driftline._core.senders._PAUSE", 1_000.0)
    monkeypatch.setattr("driftline._core.senders._LONG_PAUSE", 1_000.0)


async def full(limit: int, **arguments: Any) -> tuple[Topic[Any], Subscription[Any]]:
    topic = Topic[Any]("prices", limit=limit, **arguments)
    subscription = topic.subscribe()
    for number in range(limit):
        await topic.send(number)
    return topic, subscription


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_p8_send_waits_for_the_slowest_and_no_longer(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What wakes it is the reader, not that it looks again every so often.
    no_look(monkeypatch)
    topic, slow = await full(limit)
    fast = slow.fork()
    assert len(list(rest(fast))) == limit
    sent: list[int] = []

    async def send() -> None:
        for number in range(limit, 3 * limit):
            await topic.send(number)
            sent.append(number)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert (sent, topic.published) == ([], limit)
            for number in range(2 * limit):
                assert await slow.receive() == number
                assert slow.lag <= limit
                list(rest(fast))
                while slow.lag < limit:
                    await checkpoint()
    assert sent == list(range(limit, 3 * limit))
    assert counts(slow) == (2 * limit, 0, 0)
    assert list(rest(fast)) == [3 * limit - 1]


async def test_p3_many_senders_are_served_in_their_order() -> None:
    topic, subscription = await full(1)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 20):
                if number % 3:
                    tasks.start_soon(topic.send, number)
                else:
                    tasks.start_soon(anyio.to_thread.run_sync, partial(topic.send_blocking, number))
                await blocked(topic, number)
            assert topic.published == 1
            got = [await subscription.receive() for _ in range(20)]
    assert got == list(range(20))
    assert not topic._senders.queue


async def test_p1_senders_in_tasks_and_threads_lose_nothing() -> None:
    topic = Topic[tuple[int, int]](limit=3)
    subscriptions = [topic.subscribe() for _ in range(2)]
    got: list[list[tuple[int, int]]] = [[], []]

    async def send(sender: int) -> None:
        for number in range(30):
            await topic.send((sender, number))

    def send_blocking(sender: int) -> None:
        for number in range(30):
            topic.send_blocking((sender, number), PATIENCE)

    async def read(n: int) -> None:
        async for value in subscriptions[n]:
            assert subscriptions[n].lag <= 3
            got[n].append(value)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as readers:
            for n in range(2):
                readers.start_soon(read, n)
            async with anyio.create_task_group() as senders:
                senders.start_soon(send, 0)
                senders.start_soon(send, 1)
                senders.start_soon(anyio.to_thread.run_sync, send_blocking, 2)
                senders.start_soon(anyio.to_thread.run_sync, send_blocking, 3)
            topic.close()
    assert got[0] == got[1]
    for sender in range(4):
        assert [number for who, number in got[0] if who == sender] == list(range(30))
    assert len(got[0]) == 120


@pytest.mark.parametrize("blocking", [False, True])
async def test_p8_who_may_send_does_so_although_another_thread_takes_the_room_just_then(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic[int]("topic", limit=2, replay=1)
    topic.publish_many([0, 1])
    looks: list[Subscription[int]] = []
    may_publish = Sender.may_publish

    def look(sender: Sender) -> bool:
        answer = may_publish(sender)
        if not looks:
            looks.append(topic.subscribe(replay=1))
            topic.limit = 1
        return answer

    monkeypatch.setattr(Sender, "may_publish", look)
    if blocking:
        topic.send_blocking(2, timeout=0)
    else:
        with anyio.fail_after(PATIENCE):
            await topic.send(2)
    assert topic.published == 3


async def test_p6_a_cancelled_send_publishes_nothing_and_wakes_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no_look(monkeypatch)
    topic, subscription = await full(1)
    scopes = [anyio.CancelScope() for _ in range(2)]
    ended: list[str] = []

    async def send(value: str, scope: anyio.CancelScope) -> None:
        with scope:
            await topic.send(value)
        ended.append(value)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, "first", scopes[0])
            await blocked(topic, 1)
            tasks.start_soon(send, "second", scopes[1])
            await blocked(topic, 2)
            tasks.start_soon(send, "third", anyio.CancelScope())
            await blocked(topic, 3)
            await anyio.wait_all_tasks_blocked()
            scopes[1].cancel()
            await anyio.wait_all_tasks_blocked()
            assert ended == ["second"]
            subscription.receive_nowait()  # which wakes the first, and in the same step
            scopes[0].cancel()
            got = await subscription.receive()
            if got == "first":  # it had been woken, which on trio comes first
                got = await subscription.receive()
            assert got == "third"
    assert sorted(ended) == ["first", "second", "third"]
    assert list(rest(subscription)) == []
    assert not topic._senders.queue


async def test_p6_send_in_a_cancelled_scope_publishes_nothing() -> None:
    topic = Topic[int](limit=1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await topic.send(1)
    assert scope.cancelled_caught
    assert topic.published == 0
    assert not topic._senders.queue


def leave_closed(subscription: Subscription[Any]) -> Any:
    subscription.close()


def leave_parked(subscription: Subscription[Any]) -> Any:
    subscription.park(1_000)


def leave_skipped(subscription: Subscription[Any]) -> Any:
    subscription.skip(1)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("leave", [leave_closed, leave_parked, leave_skipped, None])
async def test_p6_who_leaves_or_skips_blocks_no_sender(
    leave: Callable[[Subscription[Any]], Any] | None, limit: int
) -> None:
    topic, subscription = await full(limit)
    ended = False
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.send, limit)
            await blocked(topic, 1)
            await anyio.wait_all_tasks_blocked()
            assert topic.published == limit
            if leave is not None:
                leave(subscription)
            del subscription
        ended = True
    assert ended
    assert topic.published == limit + 1


async def test_p8_a_parked_place_keeps_no_sender_waiting() -> None:
    topic, subscription = await full(2)
    subscription.fork().park(1_000)
    ended = False
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.send, 2)
            await blocked(topic, 1)
            await anyio.wait_all_tasks_blocked()
            assert list(rest(subscription)) == [0, 1]
        ended = True
    assert ended
    assert list(rest(subscription)) == [2]


async def test_p10_a_topic_that_is_closed_refuses_those_who_wait_to_send() -> None:
    topic, subscription = await full(1)
    refused: list[str] = []

    async def send(name: str) -> None:
        with pytest.raises(anyio.ClosedResourceError, match="'prices' was closed"):
            await topic.send(name)
        refused.append(name)

    def send_blocking() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            topic.send_blocking("thread")
        refused.append("thread")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, "first")
            tasks.start_soon(send, "second")
            tasks.start_soon(anyio.to_thread.run_sync, send_blocking)
            await blocked(topic, 3)
            topic.close()
    assert sorted(refused) == ["first", "second", "thread"]
    with pytest.raises(anyio.ClosedResourceError):
        await topic.send("late")
    with pytest.raises(anyio.ClosedResourceError):
        topic.send_blocking("late")
    assert list(subscription) == [0]


@pytest.mark.parametrize("limit", [2, 100, None])
async def test_p8_a_limit_that_grows_lets_senders_go(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_look(monkeypatch)  # they are told, at once
    topic, subscription = await full(1)
    ended = False
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.send, 1)
            await blocked(topic, 1)
            await anyio.wait_all_tasks_blocked()
            topic.limit = limit
        ended = True
    assert ended
    assert list(rest(subscription)) == [0, 1]


@pytest.mark.parametrize(("before", "published"), [(None, 5), (1_600, 40), (3, 3)])
async def test_p8_a_limit_that_shrinks_holds_senders_until_all_was_read(
    before: int | None, published: int
) -> None:
    topic = Topic[int](limit=before)
    subscription = topic.subscribe()
    for number in range(published):
        topic.publish(number)
    topic.limit = 1
    ended = False
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.send, -1)
            await blocked(topic, 1)
            for number in range(published):
                await checkpoint()
                assert topic.published == published
                assert await subscription.receive() == number
        ended = True
    assert ended
    assert list(rest(subscription)) == [-1]
    assert counts(subscription) == (published + 1, 0, 0)


async def test_p8_send_beside_a_replay() -> None:
    topic, subscription = await full(5, replay=4)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(topic.send, 5)
            await blocked(topic, 1)
            await anyio.wait_all_tasks_blocked()
            assert topic.published == 5
            subscription.receive_nowait()
            await blocked(topic, 0)
    assert list(rest(topic.subscribe(replay=4))) == [2, 3, 4, 5]
    subscription.close()
    for number in range(20):  # the replay itself holds up nobody
        await topic.send(number)
    assert topic.published == 26


def test_p8_send_blocking_gives_up_in_time() -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe()
    topic.send_blocking(0)
    for timeout in (0, -1, 0.001, 0.06):
        with pytest.raises(TimeoutError, match="nothing was published"):
            topic.send_blocking(1, timeout)
    assert not topic._senders.queue
    assert list(rest(subscription)) == [0]
    topic.send_blocking(2, 0.001)
    assert list(rest(subscription)) == [2]


def abandon(send: Callable[[], Awaitable[None]], behind: threading.Event) -> None:
    """Have a task wait to send on an event loop that is closed without cancelling it."""
    loop = asyncio.new_event_loop()

    async def wait() -> None:
        task = asyncio.ensure_future(send())
        await asyncio.to_thread(behind.wait, PATIENCE)
        assert not task.done()

    loop.set_exception_handler(lambda *_: None)  # "was destroyed but it is pending"
    loop.run_until_complete(wait())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


async def test_n3_a_sender_whose_event_loop_was_closed_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("driftline._core.senders._LONG_PAUSE", 0.01)
    topic, subscription = await full(2)
    behind = threading.Event()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, abandon, partial(topic.send, -1), behind)
            await blocked(topic, 1)
            tasks.start_soon(topic.send, 2)
            await blocked(topic, 2)
            behind.set()
            await blocked_no_more(topic, 1)  # it was taken out, not having been able to leave
            assert list(rest(subscription)) == [0, 1]
    assert list(rest(subscription)) == [2]
    topic.send_blocking(3, timeout=0)
    assert not topic._senders.queue


def test_p8_send_without_readers_does_not_wait() -> None:
    topic = Topic[int](limit=1)
    for number in range(10):
        topic.send_blocking(number)
    assert topic.published == 10
