"""A heart beats on an event loop every millisecond, and knows how long it was kept from it.

Each gap is measured twice. *Elapsed* is what a user of the loop feels; in it are other threads that
have the interpreter, and other processes that have the processor. *Computed* is the processor time
of the loop's own thread between two beats, without garbage collections and without holding messages
to the law: what its tasks take, and driftline in them. Nobody else can lengthen that, so that is
what is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, thread_time

import anyio

from soak.not_ours import spent_here

INTERVAL = 0.001
RESOLUTION = 1e-4
"""Seconds; gaps are counted in steps of this size, so that a long run keeps as much as a short."""


class Gaps:
    """How often there was a gap of which size."""

    def __init__(self) -> None:
        self.counts = Counter[int]()
        self.largest = 0.0

    def add(self, seconds: float) -> None:
        self.counts[int(seconds / RESOLUTION)] += 1
        self.largest = max(self.largest, seconds)

    def percentile(self, percent: float) -> float:
        """Return, in milliseconds, what `percent` of the gaps do not exceed."""
        beyond = self.counts.total() * (1 - percent / 100)
        for size in sorted(self.counts, reverse=True):
            beyond -= self.counts[size]
            if beyond < 0:
                return min((size + 1) * RESOLUTION, self.largest) * 1000
        return 0.0

    def milliseconds(self) -> list[float]:
        """Return p50, p99, p99.9 and the largest."""
        return [*map(self.percentile, (50, 99, 99.9)), self.largest * 1000]


@dataclass
class Heart:
    """The gaps on one loop: all of them, and those while there was a flood."""

    name: str
    floods: Sequence[str] = ()
    elapsed: Gaps = field(default_factory=Gaps)
    computed: Gaps = field(default_factory=Gaps)
    elapsed_in_flood: Gaps = field(default_factory=Gaps)
    computed_in_flood: Gaps = field(default_factory=Gaps)
    last: float = 0.0
    worst: tuple[float, float] = (0.0, 0.0)

    async def run(self) -> None:
        """Beat until cancelled."""
        self.last, computed = perf_counter(), _computed_here()
        while True:
            flood = bool(self.floods)
            await anyio.sleep(INTERVAL)
            now, computed_now = perf_counter(), _computed_here()
            self.add(now - self.last, computed_now - computed, flood or bool(self.floods))
            self.last, computed = now, computed_now

    def add(self, elapsed: float, computed: float, flood: bool) -> None:
        self.elapsed.add(elapsed)
        self.computed.add(computed)
        if flood:
            self.elapsed_in_flood.add(elapsed)
            self.computed_in_flood.add(computed)
        self.worst = max(self.worst[0], elapsed), max(self.worst[1], computed)

    def take_worst(self) -> tuple[float, float]:
        """Return the largest gaps since this was last called, in milliseconds."""
        (elapsed, computed), self.worst = self.worst, (0.0, 0.0)
        return elapsed * 1000, computed * 1000


def _computed_here() -> float:
    return thread_time() - spent_here()
