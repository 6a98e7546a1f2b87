"""Run trio code in many orders, each given by a seed.

trio shuffles what is ready on purpose, so that nobody relies on an order. Seeding it makes the
order repeatable. The switch for that is private to trio and meant for tests like these. Time is
virtual and jumps when all tasks wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from unittest.mock import patch

import trio
import trio.testing
from trio._core import _run as scheduler

from proof import failed_seed


def explore(scenario: Callable[[], Awaitable[object]], seeds: Iterable[int] = range(500)) -> int:
    """Run the scenario once for each seed, and return how often that was.

    Raises:
        FailedSchedule: The scenario failed, or waited for ever (then `TooSlowError` is its
            cause). The error names the seed, and `seeds=[seed]` replays it.
    """

    async def within_a_virtual_day() -> None:
        with trio.fail_after(86400):
            await scenario()

    runs = 0
    with patch.object(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True):
        for seed in seeds:
            scheduler._r.seed(seed)
            clock = trio.testing.MockClock(autojump_threshold=0)
            try:
                trio.run(within_a_virtual_day, clock=clock)
            except Exception as error:
                raise failed_seed(scenario, seed, error) from error
            runs += 1
    return runs
