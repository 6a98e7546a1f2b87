"""What the hub publishes about its bus, for the inspector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from time import time
from typing import Any, Final

from driftline import Bus, BusStatistics, Topic, TopicStatistics

STATISTICS: Final = "$statistics"
_ROWS: Final = 200
"""Topics, the busiest, and readers, those that are the furthest behind."""


class Figures:
    """A topic of the hub's own.

    Args:
        bus: the bus that they are of.
    """

    def __init__(self, bus: Bus) -> None:
        self.topic: Topic[Any] = Topic(STATISTICS, limit=10, replay=1)
        self._bus = bus
        self._earlier: BusStatistics | None = None

    def look(self, connections: int) -> None:
        """Publish how it is now, if somebody reads it."""
        if any(each.name != "fan-out" for each in self.topic.subscriptions()):
            self.topic.publish(self._now(connections))
        else:
            self._earlier = None

    def _now(self, connections: int) -> dict[str, Any]:
        now = _without_fan_out(self._bus.statistics())
        rates = None if self._earlier is None else now.rates(self._earlier)
        self._earlier = now
        rate = {} if rates is None else rates.topics
        busiest = sorted(now.topics, key=lambda topic: (-rate.get(topic.name, 0), -topic.published))
        subscriptions = sorted(
            (each for each in self._bus.subscriptions() if each.name != "fan-out"),
            key=lambda each: (-each.lag, -each.lag_seconds),
        )
        return {
            "at": time(),
            "connections": connections,
            "published": now.published,
            "published_rate": rates and rates.published,
            "received_rate": rates and rates.received,
            "subscriptions": len(subscriptions),
            "topic_count": len(now.topics),
            "topics": [
                {
                    "name": topic.name,
                    "published": topic.published,
                    "rate": rate.get(topic.name),
                    "subscriptions": len(topic.subscriptions),
                }
                for topic in busiest[:_ROWS]
            ],
            "streams": [
                {"name": stream.name, "subscriptions": len(stream.subscriptions)}
                for stream in now.streams[:_ROWS]
            ],
            "readers": [
                {
                    **asdict(each.statistics()),
                    "on_lag": each.on_lag,
                    "max_lag": each.max_lag,
                    "max_lag_seconds": each.max_lag_seconds,
                    "max_lag_bytes": each.max_lag_bytes,
                }
                for each in subscriptions[:_ROWS]
            ],
        }


def _without_fan_out(statistics: BusStatistics) -> BusStatistics:
    """Leave out who reads for others, which are there themselves."""

    def readers(topics: Iterable[TopicStatistics]) -> tuple[TopicStatistics, ...]:
        return tuple(
            replace(
                topic,
                subscriptions=tuple(row for row in topic.subscriptions if row.name != "fan-out"),
            )
            for topic in topics
        )

    return replace(
        statistics, topics=readers(statistics.topics), streams=readers(statistics.streams)
    )
