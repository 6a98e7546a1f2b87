"""Frozen snapshots of a bus, and how much has happened between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from driftline._core.statistics import SubscriptionStatistics, TopicStatistics


@dataclass(frozen=True, slots=True)
class BusRates:
    """How much happened a second, between two snapshots of a bus."""

    seconds: float
    """The time between them."""
    published: float
    """Messages published a second, on all topics, also those that are gone."""
    received: float
    """Messages received a second, by all subscriptions that are in both snapshots."""
    topics: dict[str, float]
    """Messages published a second on each topic that is in the later snapshot."""


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """A bus, as it was for a moment."""

    taken_at: float
    """When, in seconds since the epoch."""
    published: int
    """Messages published so far, on all topics, also those that are gone."""
    closed: bool
    """Whether the bus was closed."""
    topics: tuple[TopicStatistics, ...]
    """The live topics, by name; also those that were closed and that somebody still holds."""
    streams: tuple[TopicStatistics, ...]
    """What subscriptions to patterns read, one for all that have the same patterns; the name is
    the patterns."""

    def rates(self, earlier: BusStatistics) -> BusRates:
        """Return how much happened a second since an earlier snapshot of the same bus.

        Raises:
            ValueError: the other snapshot is not earlier, or, as far as that can be seen, of
                another bus.
        """
        seconds = self.taken_at - earlier.taken_at
        if seconds <= 0 or self.published < earlier.published:
            raise ValueError("rates need an earlier snapshot of the same bus: later.rates(earlier)")
        published = {topic.epoch: topic.published for topic in earlier.topics}
        received = {_key(row): row.received for row in earlier._subscriptions()}
        return BusRates(
            seconds,
            (self.published - earlier.published) / seconds,
            sum(
                row.received - received.get(_key(row), row.received)
                for row in self._subscriptions()
            )
            / seconds,
            {
                topic.name: (topic.published - published.get(topic.epoch, 0)) / seconds
                for topic in self.topics
            },
        )

    def _subscriptions(self) -> Iterator[SubscriptionStatistics]:
        for topic in (*self.topics, *self.streams):
            yield from topic.subscriptions


def _key(row: SubscriptionStatistics) -> tuple[object, ...]:
    return row.topic, row.name, row.subscribed_at
