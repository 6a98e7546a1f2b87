"""Frozen snapshots of topics and subscriptions, safe to keep and to compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline._core.topic import Topic
    from driftline._core.visible import Visible


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    """One subscription, as it was for a moment."""

    topic: str
    """The name of the topic."""
    name: str | None
    """The name given to `subscribe`, if any."""
    lag: int
    """Messages published and not yet received."""
    lag_seconds: float
    """Age of the oldest of them; 0.0 without one."""
    lag_bytes: int | None
    """Their size; None if the topic has no `sizeof`."""
    received: int
    """Messages received."""
    missed: int
    """Messages lost because they were read too slowly."""
    skipped: int
    """Messages passed over by choice."""
    subscribed_at: float
    """When the subscription was made, in seconds since the epoch."""

    @classmethod
    def of(cls, subscription: Visible[Any], now: float) -> SubscriptionStatistics:
        """Return those of a subscription, as it is at this moment of the monotonic clock."""
        return cls(
            topic=subscription.topic.name,
            name=subscription.name,
            lag=subscription.lag,
            lag_seconds=subscription._seconds_behind(now),
            lag_bytes=subscription.lag_bytes,
            received=subscription.received,
            missed=subscription.missed,
            skipped=subscription.skipped,
            subscribed_at=subscription.subscribed_at,
        )

    @classmethod
    def of_all(cls, subscriptions: Iterable[Visible[Any]]) -> list[SubscriptionStatistics]:
        """Return those of several, the worst first: by lag in messages, and then in seconds."""
        now = monotonic()  # one for all, or those that are alike would be in no order
        rows = (cls.of(subscription, now) for subscription in subscriptions)
        return sorted(rows, key=lambda row: (-row.lag, -row.lag_seconds))


@dataclass(frozen=True, slots=True)
class TopicStatistics:
    """One topic, as it was for a moment."""

    name: str
    """The name of the topic."""
    epoch: str
    """Tells it from another of the same name, as in `Position.epoch`."""
    published: int
    """Messages published so far."""
    published_bytes: int | None
    """Their size; None if the topic has no `sizeof`."""
    closed: bool
    """Whether the topic was closed."""
    parked: int
    """Places kept for readers who may return."""
    subscriptions: tuple[SubscriptionStatistics, ...]
    """The live subscriptions, those with the largest lag first."""

    @classmethod
    def of(cls, topic: Topic[Any]) -> TopicStatistics:
        """Return those of a topic, as it is now."""
        rows = SubscriptionStatistics.of_all(topic.subscriptions())
        return cls(
            name=topic.name,
            epoch=topic._epoch,
            published=topic.published,
            published_bytes=None if topic._sizeof is None else topic._end[0].before,
            closed=topic.closed,
            parked=len(topic._places),
            subscriptions=tuple(rows),
        )
