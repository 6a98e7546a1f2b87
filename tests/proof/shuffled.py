"""Run asyncio code in many orders, each given by a seed.

An asyncio loop runs what is ready first come, first served, so that a test sees one order of the
many that a busy server sees. `ShuffledLoop` draws lots instead. Time is virtual: it jumps to the
next timer when nothing is ready, so nothing sleeps. No threads may be involved.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any

from proof import failed_seed


class Deadlock(Exception):
    """Every task waits, and nothing is left that could wake one."""


class ShuffledLoop(asyncio.BaseEventLoop):
    """An event loop that runs what is ready in random order.

    It knows of no files, sockets and threads: all that it can wait for is time.

    Attributes:
        lots: What the order is drawn from, and what a scenario may draw from, too.
        fair: True makes it run what is ready first come, first served, for the end.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self._failures: list[BaseException] = []
        self.set_exception_handler(self._note_failure)
        self.begin(0)

    def begin(self, seed: int) -> None:
        """Be as good as new, and draw lots by this seed from here on."""
        self.lots = Random(seed)
        self._now = 0.0
        self._failures.clear()
        self.fair = False

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run it to its end, and raise what it or a callback has raised."""
        self.run_until_complete(coroutine)
        if self._failures:
            raise self._failures[0]

    def tidy_up(self) -> None:
        """Let what a scenario has left behind end, in the usual order: asyncio needs it."""
        self.fair = True
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        while self._ready or any(not task.done() for task in left):
            self._run_once()
        self._scheduled.clear()

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._pass_time()
        while ready and not self._stopping:  # type: ignore[attr-defined]
            if not self.fair:
                ready.rotate(int(self.lots.random() * len(ready)))
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _pass_time(self) -> None:
        """Make ready what is due next."""
        waiting = [timer for timer in self._scheduled if not timer.cancelled()]
        if not waiting:
            raise Deadlock("every task waits for another")
        self._now = max(self._now, min(timer.when() for timer in waiting))
        self._ready += [timer for timer in waiting if timer.when() <= self._now]
        self._scheduled[:] = [timer for timer in waiting if timer.when() > self._now]

    def _note_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "handle" in context and isinstance(context["exception"], Exception):
            self._failures.append(context["exception"])

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def explore(
    scenario: Callable[[], Coroutine[Any, Any, object]], seeds: Iterable[int] = range(1000)
) -> int:
    """Run the scenario once for each seed, and return how often that was.

    Raises:
        FailedSchedule: The scenario failed. The error names the seed, and `seeds=[seed]` replays
            it.
    """
    runs = 0
    with asyncio.Runner(loop_factory=ShuffledLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, ShuffledLoop)
        for seed in seeds:
            loop.begin(seed)
            try:
                loop.run(scenario())
            except (Exception, asyncio.CancelledError) as error:
                raise failed_seed(scenario, seed, error) from error
            finally:
                loop.tidy_up()
            runs += 1
    return runs
