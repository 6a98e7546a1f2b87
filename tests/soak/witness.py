"""The law for one subscription, checked with every message it gets, and keeping none of them.

Messages are `(publisher, number)`. On a topic with one publisher, which counts from 1, the number
of each message is its place in the topic. So what a reader was not told of is found at once.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from driftline import Subscription
from proof.law import LawBroken, Published, miscounts, told_of
from soak.not_ours import judge


class Witness:
    """What a subscription got, in numbers."""

    def __init__(self, subscription: Subscription[Any], *, exact: bool) -> None:
        """Begin where the subscription is.

        Args:
            subscription: Who reads.
            exact: Whether it reads one topic with one publisher. Otherwise it reads several, and
                messages before the first of a publisher cannot be missed.
        """
        self.subscription = subscription
        self.exact = exact
        self.start = subscription.position.seq
        self.received = subscription.received
        self.cuts = 0
        self._missed = 0
        self._absent = 0
        self._last: dict[str, int] = defaultdict(lambda: self.start) if exact else {}

    def got(self, *values: Published) -> None:
        """Say what was just read, in its order."""
        judge(self._judge, values)

    def _judge(self, values: tuple[Published, ...]) -> None:
        for publisher, number in values:
            last = self._last[publisher] if self.exact else self._last.get(publisher, number - 1)
            if number <= last:
                raise self._broken(f"got {publisher}:{number} after {publisher}:{last}")
            self._absent += number - last - 1
            self._last[publisher] = number
        self.received += len(values)
        self._count_cuts()
        told = told_of(self.subscription)
        if self._absent > told or (self.exact and self._absent != told):
            raise self._broken(
                f"did not get {self._absent} messages and was told of {told}, "
                f"up to {values[-1] if values else 'nothing'}"
            )

    def end(self) -> None:
        """Compare the counters with what was got."""
        self._count_cuts()
        for complaint in miscounts(self.subscription, self.start, self.received):
            raise self._broken(complaint)

    def _count_cuts(self) -> None:
        if self.subscription.missed > self._missed:
            self._missed = self.subscription.missed
            self.cuts += 1

    def _broken(self, what: str) -> LawBroken:
        return LawBroken(f"the reader of {self.subscription.topic.name!r} {what}")
