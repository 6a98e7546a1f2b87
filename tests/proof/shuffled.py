"""Run asyncio code in many orders, each given by a seed.

An asyncio loop runs what is ready first come, first served, so that a test sees one order of the
many that a busy server sees. `ShuffledLoop` draws lots instead. Time is virtual: it jumps to the
next timer when nothing is ready, so nothing sleeps. No threads may be involved.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from random import Random
from typing import Any

from proof import failed_seed


class Deadlock(Exception):
    """Every task waits, and nothing is left that could wake one."""


class ShuffledLoop(asyncio.SelectorEventLoop):
    """An event loop that runs a random part of what is ready, in random order.

    Attributes:
        fair: True turns it into an ordinary loop, for the end.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._now = 0.0
        self.fair = False
        super().__init__()

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def _run_once(self) -> None:
        ready = self._ready
        if not ready:
            self._jump()
        if self.fair:
            super()._run_once()  # type: ignore[misc]
            return
        self._random.shuffle(ready)
        # What stays behind may be overtaken by what the others are about to schedule.
        behind = [ready.pop() for _ in range(self._random.randrange(len(ready) or 1))]
        super()._run_once()  # type: ignore[misc]
        ready.extend(behind)

    def _jump(self) -> None:
        whens = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not whens and not self._stopping:  # type: ignore[attr-defined]
            raise Deadlock("every task waits for another")
        if whens:
            self._now = max(self._now, min(whens))


def explore(
    scenario: Callable[[], Coroutine[Any, Any, object]], seeds: Iterable[int] = range(1000)
) -> int:
    """Run the scenario once for each seed, and return how often that was.

    Raises:
        FailedSchedule: The scenario failed. The error names the seed, and `seeds=[seed]` replays
            it.
    """
    runs = 0
    for seed in seeds:
        try:
            with asyncio.Runner(loop_factory=partial(ShuffledLoop, seed)) as runner:
                try:
                    runner.run(scenario())
                finally:
                    _tidy_up(runner)
        except (Exception, asyncio.CancelledError) as error:
            raise failed_seed(scenario, seed, error) from error
        runs += 1
    return runs


def _tidy_up(runner: asyncio.Runner) -> None:
    """Let what the scenario left behind end in the usual order: asyncio's own closing needs it."""
    loop = runner.get_loop()
    assert isinstance(loop, ShuffledLoop)
    loop.fair = True
    runner.run(asyncio.sleep(0))
