"""P11: a watch tells who has become slow, who stands still and who has caught up, each once."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

import anyio
import pytest

from driftline import LagWatch, Subscription, Topic

PATIENCE = 30.0  # seconds, after which a test has failed


def states(watched: LagWatch) -> list[tuple[str, str | None, int]]:
    return [(event.state, event.name, event.lag) for event in watched.look()]


def read(subscription: Subscription[Any], messages: int) -> None:
    for _ in range(messages):
        subscription.receive_nowait()


def test_p11_a_subscription_is_slow_once_and_recovers_at_four_fifths() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe(name="s")
    watched = topic.watch_lag(10)
    topic.publish_many(range(9))
    assert states(watched) == []
    topic.publish(9)
    assert states(watched) == [("slow", "s", 10)]
    read(subscription, 1)
    assert states(watched) == []  # 9 is below the threshold, and not yet recovered
    topic.publish(10)
    assert states(watched) == []  # still the same episode
    read(subscription, 2)
    assert states(watched) == [("recovered", "s", 8)]
    topic.publish_many(range(2))
    assert states(watched) == [("slow", "s", 10)]


def test_p11_a_slow_subscription_that_does_not_move_is_stalled_until_it_moves() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe(name="s")
    watched = topic.watch_lag(2, stalled_after=2)
    topic.publish_many(range(100))
    assert states(watched) == [("slow", "s", 100)]
    assert states(watched) == []
    topic.publish(100)
    assert states(watched) == [("stalled", "s", 101)]
    assert states(watched) == []
    read(subscription, 1)
    assert states(watched) == [("slow", "s", 100)]
    read(subscription, 1)
    assert states(watched) == []


@pytest.mark.parametrize("end", [Subscription.close, None], ids=["closed", "forgotten"])
def test_p11_a_slow_subscription_that_ends_is_gone(end: Any) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe(name="s")
    other = topic.subscribe(name="quick")
    watched = topic.watch_lag(1)
    topic.publish(1)
    read(other, 1)
    assert states(watched) == [("slow", "s", 1)]
    if end:
        end(subscription)
    else:
        del subscription
    other.close()
    assert states(watched) == [("gone", "s", 0)]
    assert states(watched) == []


def test_p11_a_watch_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe(name="s")
    watched = topic.watch_lag(lag_seconds=60)
    topic.publish(1)
    assert states(watched) == []
    now = monotonic()
    monkeypatch.setattr("driftline._core.visible.monotonic", lambda: now + 61)
    assert states(watched) == [("slow", "s", 1)]
    read(subscription, 1)
    assert states(watched) == [("recovered", "s", 0)]


async def test_p11_a_watch_looks_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe(name="s")
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            topic.publish_many(range(5))

    monkeypatch.setattr(anyio, "sleep", sleep)
    watched = topic.watch_lag(5, every=7)
    with anyio.fail_after(PATIENCE):
        event = await anext(watched)
    assert (event.state, event.topic, event.name, event.lag) == ("slow", "topic", "s", 5)
    assert event.lag_seconds >= 0
    assert pauses == [7, 7, 7]
    assert subscription.lag == 5


async def test_p10_p11_a_watch_ends_when_the_topic_was_closed_and_nobody_is_slow() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    watched = topic.watch_lag(1, every=0.001)
    topic.publish(1)
    topic.close()
    with anyio.fail_after(PATIENCE):
        event = await anext(watched)
        assert (event.state, event.subscription) == ("slow", subscription)
        read(subscription, 1)
        assert [event.state async for event in watched] == ["recovered"]


def test_p11_a_watch_keeps_no_subscription() -> None:
    topic = Topic[int]("topic")
    subscription = topic.subscribe()
    watched = topic.watch_lag(1)
    topic.publish(1)
    watched.look()
    del subscription
    assert topic.subscriptions() == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"lag": 0}, ValueError),
        ({"lag": 1.5}, TypeError),
        ({"lag_seconds": math.nan}, ValueError),
        ({"lag": 1, "every": 0}, ValueError),
        ({"lag": 1, "every": None}, TypeError),
        ({"lag": 1, "every": math.inf}, ValueError),
        ({"lag": 1, "every": "often"}, TypeError),
        ({"lag": 1, "stalled_after": 0}, ValueError),
    ],
)
def test_bad_thresholds_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"lag|every|stalled_after"):
        Topic[int]("topic").watch_lag(**arguments)
