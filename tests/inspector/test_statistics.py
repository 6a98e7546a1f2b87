"""What the hub tells the inspector counts every reader once, and says what was asked for."""

from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from driftline import Bus
from driftline.hub import Hub
from driftline.protocol import Delivered, Subscribe, parse_event
from inspector.clients import reading
from inspector.hubs import serving

pytestmark = pytest.mark.once

LOOK = Subscribe(patterns=("$statistics",))
PUBLISHED = 200


def next_of(looker: ClientConnection) -> dict[str, Any]:
    event = parse_event(looker.recv(timeout=30))
    assert isinstance(event, Delivered)
    found: dict[str, Any] = event.value
    return found


def received_since(looker: ClientConnection, before: dict[str, Any]) -> float:
    """Return how many messages were received, when all were."""
    received = 0.0
    while received < 0.9 * PUBLISHED:
        now = next_of(looker)
        received += now["received_rate"] * (now["at"] - before["at"])
        before = now
    return received


@pytest.mark.parametrize("pattern", ["news", "news.>"])
def test_who_reads_for_others_is_counted_nowhere(pattern: str) -> None:
    bus = Bus()
    with (
        serving(bus) as hub,
        reading(hub, LOOK) as looker,
        reading(hub, Subscribe(patterns=(pattern,), name="ada")),
    ):
        before = next_of(looker)
        assert before["published_rate"] is None
        assert [each["name"] for each in before["readers"]] == ["ada"]
        assert before["subscriptions"] == 1
        for _ in range(PUBLISHED):
            bus.publish(pattern.replace(">", "local"), "x")
        assert received_since(looker, before) < 1.5 * PUBLISHED


def shown(hub: Hub) -> dict[str, Any]:
    """Return what is told when there has been time for rates."""
    with reading(hub, LOOK) as looker:
        next_of(looker)
        return next_of(looker)


def test_it_tells_of_streams_and_of_all_bounds() -> None:
    bus = Bus(sizeof=len)
    with (
        serving(bus) as hub,
        bus.subscribe("a.*", "b", max_lag=5, max_lag_seconds=2.5, max_lag_bytes=9, on_lag="close"),
        bus.subscribe("c"),
    ):
        found = shown(hub)
    assert found["streams"] == [{"name": "a.* b", "subscriptions": 1}]
    assert [(each["name"], each["subscriptions"]) for each in found["topics"]] == [("c", 1)]
    (stream,) = (each for each in found["readers"] if each["topic"] == "a.* b")
    bounds = "on_lag", "max_lag", "max_lag_seconds", "max_lag_bytes"
    assert [stream[each] for each in bounds] == ["close", 5, 2.5, 9]


def test_of_many_topics_it_tells_of_the_busiest() -> None:
    bus = Bus()
    topics = [bus.topic(f"topic.{number}") for number in range(300)]
    topics[299].publish("x")
    with serving(bus) as hub:
        found = shown(hub)
    assert found["topic_count"] == 300
    assert len(found["topics"]) == 200
    assert found["topics"][0]["name"] == "topic.299"
