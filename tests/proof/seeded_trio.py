"""Run trio code in many orders, each given by a seed.

trio shuffles what is ready on purpose, so that nobody relies on an order. Seeding it makes the
order repeatable. The switch for that is private to trio and meant for tests like these. Time is
virtual and jumps when all tasks wait.

All seeds share one run, since to begin one takes longer than most scenarios. Before each, whatever
else there is in that run waits, and the lots and the clock begin anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from unittest.mock import patch

import trio
import trio.testing
from trio._core import _run as scheduler

from proof import failed_seed

lots = scheduler._r
"""What the order is drawn from, and what a scenario may draw from, too."""


def explore(scenario: Callable[[], Awaitable[object]], seeds: Iterable[int] = range(500)) -> int:
    """Run the scenario once for each seed, and return how often that was.

    Raises:
        FailedSchedule: The scenario failed, or waited for ever (then `TooSlowError` is its
            cause). The error names the seed, and `seeds=[seed]` replays it.
    """

    clock = trio.testing.MockClock(autojump_threshold=0)
    runs = 0

    async def run_each() -> None:
        nonlocal runs
        for seed in seeds:
            await trio.testing.wait_all_tasks_blocked()  # what the last one left behind
            lots.seed(seed)
            clock._virtual_base = 0.0
            try:
                with trio.fail_after(86400):
                    await scenario()
            except Exception as error:
                raise failed_seed(scenario, seed, error) from error
            runs += 1

    with patch.object(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True):
        trio.run(run_each, clock=clock)
    return runs
