"""What the hub publishes about its bus, for the inspector."""

from __future__ import annotations

from dataclasses import asdict
from time import time
from typing import Any, Final

from driftline import Bus, BusStatistics, Topic

STATISTICS: Final = "$statistics"
_ROWS: Final = 200
"""Topics, and readers, those that are the furthest behind."""


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
        now = self._bus.statistics()
        rates = None if self._earlier is None else now.rates(self._earlier)
        self._earlier = now
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
            "topics": [
                {
                    "name": topic.name,
                    "published": topic.published,
                    "rate": rates and rates.topics.get(topic.name),
                    "subscriptions": sum(each.name != "fan-out" for each in topic.subscriptions),
                }
                for topic in now.topics[:_ROWS]
            ],
            "readers": [
                {
                    **asdict(each.statistics()),
                    "on_lag": each.on_lag,
                    "max_lag": each.max_lag,
                }
                for each in subscriptions[:_ROWS]
            ],
        }
