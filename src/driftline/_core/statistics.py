"""Frozen snapshots of topics and subscriptions, safe to keep and to compare."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    """One subscription, as it was for a moment. `lag + received + skipped` is what it was owed."""

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
    skipped: int
    """Messages passed over by choice."""


@dataclass(frozen=True, slots=True)
class TopicStatistics:
    """One topic, as it was for a moment."""

    name: str
    """The name of the topic."""
    published: int
    """Messages published so far."""
    published_bytes: int | None
    """Their size; None if the topic has no `sizeof`."""
    closed: bool
    """Whether the topic was closed."""
    subscriptions: tuple[SubscriptionStatistics, ...]
    """The live subscriptions, those with the largest lag first."""
