"""Control-C wherever it may come: it ends the call, and costs nobody else anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

import driftline
from driftline import Bus, Lagged, SlowConsumer, Subscription, Topic
from driftline._bus.topics import BusTopic
from proof.interruptions import interrupt

PATIENCE = 30.0  # seconds, after which a test has failed


async def read_all(subscription: Subscription[Any], got: list[Any]) -> None:
    try:
        while True:
            got.append(await subscription.receive())
    except (anyio.EndOfStream, anyio.ClosedResourceError) as end:
        got.append(type(end))


@pytest.mark.parametrize("pattern", [None, "a", "*"])
async def test_p4_k4_it_leaves_no_message_half_published_and_no_reader_asleep(
    pattern: str | None,
) -> None:
    places = 0
    while True:
        bus = Bus()
        topic = bus.topic("a") if pattern else Topic[int]()
        subscription = bus.subscribe(pattern) if pattern else topic.subscribe()
        got: list[Any] = []
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_all, subscription, got)
                await anyio.wait_all_tasks_blocked()
                more = interrupt(partial(topic.publish, 1), places, within=[driftline])
                await anyio.wait_all_tasks_blocked()
                assert not topic._inbox, f"half published at place {places}"
                assert got == [1] * topic.published, f"asleep at place {places}"
                tasks.cancel_scope.cancel()
        if not more:
            break
        places += 1
    assert places > 10


async def test_p4_k4_it_costs_no_message_that_another_has_left_in_the_inbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = BusTopic._link
    places = 0
    while True:
        bus = Bus()
        mine, other = bus.topic("mine"), bus.topic("other")
        got: dict[str, list[Any]] = {"other": [], "*": [], "mine": []}

        def publish(topic: BusTopic[Any], entry: Any, other: Topic[Any] = other) -> None:
            if topic is not other and not other.published and not topic._closing:
                monkeypatch.undo()
                other.publish("theirs")  # as another thread does: it returns, and is not linked
            link(topic, entry)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for name, values in got.items():
                    tasks.start_soon(read_all, bus.subscribe(name), values)
                await anyio.wait_all_tasks_blocked()
                monkeypatch.setattr(BusTopic, "_link", publish)
                more = interrupt(partial(mine.publish, "mine"), places, within=[driftline])
                monkeypatch.undo()
                await anyio.wait_all_tasks_blocked()
                assert not bus._joint.inbox, f"half published at place {places}"
                assert got["other"] == ["theirs"] * other.published, f"place {places}"
                assert got["mine"] == ["mine"] * mine.published, f"place {places}"
                assert sorted(got["*"]) == got["mine"] + got["other"], f"place {places}"
                tasks.cancel_scope.cancel()
        if not more:
            break
        places += 1
    assert places > 30


async def test_k4_a_reader_links_what_others_have_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = Topic._link
    places = 0
    while True:
        topic = Topic[str]()
        reader = topic.subscribe()
        got: list[Any] = []
        left: list[str] = []

        def publish(topic: Topic[Any], entry: Any, left: list[str] = left) -> None:
            if not left:
                left.append("second")
                topic.publish("second")  # as another thread does: it returns, and is not linked
            link(topic, entry)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_all, topic.subscribe(), got)
                await anyio.wait_all_tasks_blocked()
                del topic._turn.free
                topic.publish("first")
                topic._turn.free = True
                with monkeypatch.context() as patch:
                    patch.setattr(Topic, "_link", publish)
                    more = interrupt(reader.receive_nowait, places, within=[driftline])
                await anyio.wait_all_tasks_blocked()
                if left:
                    assert not topic._inbox, f"place {places}"
                    assert got == ["first", "second"][: topic.published], f"place {places}"
                tasks.cancel_scope.cancel()
        if not more:
            break
        places += 1
    assert places > 10


@pytest.mark.parametrize(
    "read",
    [
        lambda reader: reader.receive_nowait(),
        lambda reader: reader.batches().receive_nowait(),
        lambda reader: reader.latest().receive_nowait(),
    ],
    ids=["receive", "batches", "latest"],
)
def test_p1_t1_what_was_missed_is_told_once(read: Callable[[Subscription[int]], Any]) -> None:
    places = 0
    while True:
        topic = Topic[int](limit=4)
        reader = topic.subscribe()
        for number in range(20):
            topic.publish(number)
        told: list[int] = []

        def read_on(reader: Subscription[int] = reader, told: list[int] = told) -> None:
            try:
                read(reader)
            except Lagged as lagged:
                told.append(lagged.missed)

        more = interrupt(read_on, places, within=[driftline])
        while reader.lag:
            read_on()
        assert told == [reader.missed], f"at place {places}"
        if not more:
            break
        places += 1
    assert places > 10


def test_p1_t1_who_is_too_slow_is_closed_and_reads_nothing_more() -> None:
    places = 0
    while True:
        topic = Topic[int](limit=4)
        reader = topic.subscribe(on_lag="close")
        for number in range(20):
            topic.publish(number)

        def read(reader: Subscription[int] = reader) -> None:
            with pytest.raises((SlowConsumer, anyio.ClosedResourceError)):
                reader.receive_nowait()

        more = interrupt(read, places, within=[driftline])
        read()
        assert reader.closed
        if not more:
            break
        places += 1
    assert places > 10


@pytest.mark.parametrize("what", ["topic", "subscription"])
async def test_p10_p7_what_was_not_closed_for_it_is_closed_again(what: str) -> None:
    places = 0
    while True:
        topic = Topic[int]()
        subscription = topic.subscribe()
        got: list[Any] = []
        close = topic.close if what == "topic" else subscription.close
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_all, subscription, got)
                await anyio.wait_all_tasks_blocked()
                more = interrupt(close, places, within=[driftline])
                close()
        end = anyio.EndOfStream if what == "topic" else anyio.ClosedResourceError
        assert got == [end], f"at place {places}"
        if not more:
            break
        places += 1
    assert places > 2
