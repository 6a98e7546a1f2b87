"""Start every load on one bus, and watch until the time is over or something is wrong."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from threading import Event, Thread
from time import perf_counter
from typing import Any, NamedTuple

import anyio
import trio as trio  # all of it, before a loop on which it is only half imported looks for it

from driftline import Bus
from soak.heart import Heart
from soak.load import LOOPS, Load
from soak.memory import resident
from soak.part import Part

LIMIT = 2000
REPLAY = 200
PATIENCE = 30.0
"""Seconds without a heartbeat, or to end, after which the run hangs."""

Job = tuple[Callable[..., Awaitable[object]], Part, tuple[Any, ...]]


class Sample(NamedTuple):
    """What was seen in one second. An hour of them is about a megabyte.

    `unlinked` is how many messages publishers have left for another who publishes to link. No
    limit holds for these, and no reader sees them.
    """

    seconds: float
    memory: float
    elapsed: float
    computed: float
    unlinked: int


class Run:
    """One bus, its loads, and what was seen of them."""

    def __init__(self, seed: int, loads: Iterable[Load], rate: int) -> None:
        self.seed = seed
        self.rate = rate
        self.bus = Bus(limit=LIMIT, replay=REPLAY)
        self.loads = list(loads)
        self.stopping = Event()
        self.floods: list[str] = []
        self.parts: list[Part] = []
        self.errors: list[str] = []
        self.samples: list[Sample] = []
        self.hearts = [Heart(name, self.floods) for name in LOOPS]
        self.jobs: dict[str, list[Job]] = {name: [] for name in LOOPS}
        self.threads = [
            Thread(target=self._loop, args=[heart], name=heart.name, daemon=True)
            for heart in self.hearts
        ]
        for load in self.loads:
            load.run(_Start(self, load.name))

    def watch(self, seconds: float, tick: Callable[[float], object]) -> None:
        """Run for so many seconds, unless something goes wrong; call `tick` every second."""
        begin = perf_counter()
        for thread in self.threads:
            thread.start()
        ended = False
        while not ended:
            ended = self.stopping.wait(min(1.0, seconds / 10))
            now = perf_counter() - begin
            worst = [heart.take_worst() for heart in self.hearts]
            elapsed, computed = (max(gaps) for gaps in zip(*worst, strict=True))
            unlinked = len(self.bus._joint.inbox)
            self.samples.append(Sample(now, resident(), elapsed, computed, unlinked))
            self._look_for_hearts()
            tick(min(now, seconds))
            ended = ended or now >= seconds
        self._end()

    def counts(self, load: str | None = None) -> Counter[str]:
        """Return what one load, or all of them, did so far."""
        total = Counter[str]()
        for part in self.parts:
            if load in (None, part.load):
                total.update(part.counts.copy())
        return total

    def part(self, load: str, where: str) -> Part:
        """Make a part, with lots that follow from the seed and from which part it is."""
        number = len(self.parts)
        seed = f"{self.seed} {load} {number}"
        part = Part(load, where, self.bus, seed, self.stopping, self.floods, self.rate)
        self.parts.append(part)
        return part

    def failed(self, part: Part, error: BaseException) -> None:
        """Write down what went wrong, and have everybody stop."""
        text = "".join(traceback.format_exception(error))
        self.errors.append(f"{part.load}, on {part.where}: {error}\n\n{text}")
        self.stopping.set()

    def _loop(self, heart: Heart) -> None:
        options = {"use_uvloop": True} if heart.name == "uvloop" else {}
        backend = "trio" if heart.name == "trio" else "asyncio"
        anyio.run(self._main, heart, backend=backend, backend_options=options)

    async def _main(self, heart: Heart) -> None:
        async with anyio.create_task_group() as tasks:
            for job in self.jobs[heart.name]:
                tasks.start_soon(self._do, *job)
            tasks.start_soon(heart.run)
            # Set by any thread, so there is no event of the loop to wait for.
            while not self.stopping.is_set():  # noqa: ASYNC110
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    async def _do(
        self, function: Callable[..., Awaitable[object]], part: Part, arguments: tuple[Any, ...]
    ) -> None:
        try:
            await function(part, *arguments)
        except Exception as error:
            self.failed(part, error)

    def _look_for_hearts(self) -> None:
        for heart in self.hearts:
            if heart.last and perf_counter() - heart.last > PATIENCE:
                self.errors.append(f"hang: {heart.name} has no heartbeat for {PATIENCE:g} seconds")
                self.stopping.set()

    def _end(self) -> None:
        self.stopping.set()
        deadline = perf_counter() + PATIENCE
        for thread in self.threads:
            thread.join(max(0.0, deadline - perf_counter()))
        self.errors += [
            f"hang: {thread.name} has not ended in {PATIENCE:g} seconds"
            for thread in self.threads
            if thread.is_alive()
        ]
        self.bus.close()
        if not self.errors:
            self.errors += [
                f"the load {load.name!r} did nothing"
                for load in self.loads
                if not self.counts(load.name).total()
            ]


class _Start:
    """Starts what one load consists of, once the run begins."""

    def __init__(self, run: Run, load: str) -> None:
        self.bus = run.bus
        self._run = run
        self._load = load

    def thread(self, function: Callable[..., object], *arguments: Any) -> None:
        part = self._run.part(self._load, f"thread {len(self._run.threads)}")

        def guarded() -> None:
            try:
                function(part, *arguments)
            except Exception as error:
                self._run.failed(part, error)

        name = f"{self._load}, {part.where}"
        self._run.threads.append(Thread(target=guarded, name=name, daemon=True))

    def task(self, loop: str, function: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        part = self._run.part(self._load, loop)
        self._run.jobs[loop].append((function, part, arguments))
