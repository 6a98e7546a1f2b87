"""What each thread or task of a load works with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from threading import Event
from typing import Any

from driftline import Bus, OnLag, Subscription
from soak.witness import Witness

ON_LAG: tuple[OnLag, ...] = ("raise", "skip", "latest", "close")


class Part:
    """The bus, lots to draw, and counts that nobody else writes.

    Attributes:
        load: The name of the load.
        where: The loop or thread.
        bus: The one bus.
        random: Lots of its own, so that they do not depend on what others draw.
        counts: What it did. One writer each, because `+=` from several threads loses some.
        stopping: Set when the run is over.
        floods: One entry for each flood that is under way.
        rate: Messages a second at most, for each that floods; 0 for as fast as it can.
    """

    def __init__(
        self,
        load: str,
        where: str,
        bus: Bus,
        seed: str,
        stopping: Event,
        floods: list[str],
        rate: int,
    ) -> None:
        self.load = load
        self.where = where
        self.bus = bus
        self.random = Random(seed)
        self.counts = Counter[str]()
        self.stopping = stopping
        self.floods = floods
        self.rate = rate

    def pause(self, shortest: float, longest: float) -> None:
        """Block this thread for a random time, or until the end."""
        self.stopping.wait(self.random.uniform(shortest, longest))

    @contextmanager
    def flood(self) -> Iterator[None]:
        """Have the hearts know that a flood is under way."""
        self.floods.append(self.load)
        try:
            yield
        finally:
            self.floods.pop()

    def subscribe(self, *patterns: str, **options: Any) -> Subscription[Any]:
        """Subscribe with random consequences of lag."""
        return self.bus.subscribe(
            *patterns, name=self.load, on_lag=self.random.choice(ON_LAG), **options
        )

    @contextmanager
    def reading(self, subscription: Subscription[Any], *, exact: bool = True) -> Iterator[Witness]:
        """Hold a subscription to the law until the block ends, and close it then."""
        self.counts["joins"] += 1
        witness = Witness(subscription, exact=exact)
        try:
            with subscription:
                yield witness
        finally:
            self.counts["leaves"] += 1
            self.counts["delivered"] += witness.received
            self.counts["missed"] += subscription.missed
            self.counts["skipped"] += subscription.skipped
            witness.end()
            self.counts["cuts"] += witness.cuts
