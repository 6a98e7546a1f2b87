"""How long does the bus keep the event loop from everybody else?

A heartbeat wants to run every millisecond. Its largest gap is how long the loop was held while a
reader works off a long backlog, while a reader far behind is closed or forgotten, and while a
thread publishes as fast as it can. The idle loop and a thread that only counts are the floors.
"""

import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import anyio
import anyio.to_thread

from .audience import PATIENCE, Miscount, audience
from .contenders import (
    CHANNELS,
    DOCUMENTED,
    DRIFTLINE,
    QUEUES,
    AsyncioQueues,
    AsyncioQueuesFromThread,
    Contender,
    DocumentedList,
    Driftline,
    Stallable,
    TrioChannels,
    TrioChannelsFromThread,
)
from .loops import LOOPS, TRIO, Loop
from .measure import Table, Track, interleave, spread

INTERVAL = 0.001
FLOOR = "floor"


class Gap(NamedTuple):
    """The heartbeat's largest gap in milliseconds, and how many seconds it all took."""

    milliseconds: float
    seconds: float


class Heart:
    """A task that wants to run every millisecond, and knows how long it had to wait."""

    def __init__(self) -> None:
        self.begin = self.last = perf_counter()
        self.largest = 0.0

    def beat(self) -> None:
        now = perf_counter()
        self.largest = max(self.largest, now - self.last)
        self.last = now

    async def run(self) -> None:
        while True:
            await anyio.sleep(INTERVAL)
            self.beat()

    def gap(self) -> Gap:
        return Gap(self.largest * 1000, self.last - self.begin)


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heart]:
    """Let a heart beat beside the block."""
    heart = Heart()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heart.run)
        yield heart
        heart.beat()  # The block may have ended before the heart could.
        tasks.cancel_scope.cancel()


async def idle(seconds: float) -> Gap:
    """The floor: nobody else is there."""
    async with heartbeat() as heart:
        await anyio.sleep(seconds)
    return heart.gap()


async def drain(loop: Loop, make: Callable[[], Contender[int]], messages: int) -> Gap:
    """One reader works off a backlog, every message of which is there already."""
    async with audience(loop, make(), 1) as readers:
        publish = readers.publish
        for value in readers.expect(messages):
            publish(value)
        gc.collect()
        async with heartbeat() as heart:
            await readers.received()
    return heart.gap()


class Last:
    """A message whose end can be watched."""


async def abandon(make: Callable[[], Stallable[object]], messages: int, close: bool) -> Gap:
    """One reader, far behind, is forgotten or closed; wait until all it held is free."""
    contender = make()
    reader = contender.stall()
    publish = contender.publish
    payload = object()
    for _ in range(messages):
        publish(payload)
    last = Last()
    held = weakref.ref(last)
    publish(last)
    del last
    gc.collect()
    if held() is None:
        raise Miscount("the last message was freed before anybody read it")
    async with heartbeat() as heart:
        contender.leave(reader)
        if close:
            reader.close()
        else:
            del reader
        with anyio.fail_after(PATIENCE):
            # Any thread may be the one that frees it, so there is no event to wait for.
            while held() is not None:  # noqa: ASYNC110
                await anyio.sleep(INTERVAL)
    return heart.gap()


async def flood(loop: Loop, make: Callable[[], Contender[int]], messages: int) -> Gap:
    """A thread publishes as fast as it can to one reader."""
    async with audience(loop, make(), 1) as readers:

        def publish_all(values: range) -> None:
            publish = readers.publish
            for value in values:
                publish(value)

        async with heartbeat() as heart:
            await anyio.to_thread.run_sync(publish_all, readers.expect(messages))
            await readers.received()
    return heart.gap()


async def busy_thread(turns: int) -> Gap:
    """The floor: a thread that only counts also takes the interpreter from the loop."""

    def count() -> None:
        for _ in range(turns):
            pass

    async with heartbeat() as heart:
        await anyio.to_thread.run_sync(count)
    return heart.gap()


class Situation(NamedTuple):
    """What happens beside the heartbeat, for each contender."""

    name: str
    turns: dict[str, Callable[[], Gap]]
    rounds: int


def situations_on(loop: Loop, quick: bool) -> list[Situation]:
    """Return all that is measured on `loop`."""
    messages = 100_000 if quick else 200_000
    flooding = 50_000 if quick else 100_000
    rounds = 1 if quick else 2
    readers: dict[str, Callable[[], Contender[int]]]
    stalled: dict[str, Callable[[], Stallable[object]]]
    flooded: dict[str, Callable[[], Contender[int]]]
    if loop is TRIO:
        readers = {CHANNELS: TrioChannels, DRIFTLINE: Driftline}
        stalled = {DRIFTLINE: Driftline}
        flooded = {CHANNELS: TrioChannelsFromThread, DRIFTLINE: Driftline}
    else:
        readers = {QUEUES: AsyncioQueues, DOCUMENTED: DocumentedList, DRIFTLINE: Driftline}
        stalled = {QUEUES: AsyncioQueues, DOCUMENTED: DocumentedList, DRIFTLINE: Driftline}
        flooded = {QUEUES: AsyncioQueuesFromThread, DRIFTLINE: Driftline}

    def turns(
        measure: Callable[..., Awaitable[Gap]], makers: dict[str, Any], *arguments: Any
    ) -> dict[str, Callable[[], Gap]]:
        return {name: partial(loop.run, measure, make, *arguments) for name, make in makers.items()}

    driftline = {DRIFTLINE: Driftline}
    far = 10 * messages
    return [
        Situation("idle loop", {FLOOR: partial(loop.run, idle, 0.3)}, rounds),
        Situation(f"draining {messages:,}", turns(partial(drain, loop), readers, messages), rounds),
        Situation(f"dropping {messages:,}", turns(abandon, stalled, messages, False), rounds),
        Situation(f"closing {messages:,}", turns(abandon, driftline, messages, True), rounds),
        *(
            []
            if quick
            else [
                Situation(f"dropping {far:,}", turns(abandon, driftline, far, False), 1),
                Situation(f"closing {far:,}", turns(abandon, driftline, far, True), 1),
            ]
        ),
        Situation(
            "a thread that counts", {FLOOR: partial(loop.run, busy_thread, 20_000_000)}, rounds
        ),
        Situation(
            f"{flooding:,} from a thread", turns(partial(flood, loop), flooded, flooding), rounds
        ),
    ]


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every situation on every loop."""
    cells = [(loop, situation) for loop in LOOPS for situation in situations_on(loop, quick)]
    rows: dict[Loop, list[list[str]]] = {loop: [] for loop in LOOPS}
    samples: dict[Loop, dict[str, object]] = {loop: {} for loop in LOOPS}
    for loop, situation in track(cells, "heartbeat"):
        results = interleave(situation.turns, situation.rounds)
        for number, (name, gaps) in enumerate(results.items()):
            rows[loop].append(
                [
                    "" if number else situation.name,
                    name,
                    spread([gap.milliseconds for gap in gaps]),
                    spread([gap.seconds for gap in gaps]),
                ]
            )
            samples[loop][f"{situation.name}, {name}"] = gaps
    return [
        Table(
            f"Largest gap of a {INTERVAL * 1000:.0f} ms heartbeat: {loop.name}",
            [
                "One topic, one queue or one channel, unbounded; one reader.",
                "dropping and closing: until the last message that the reader held is freed.",
                "from a thread: the queue is filled by `loop.call_soon_threadsafe`, the channel "
                "by `trio_token.run_sync_soon`.",
                "A thread that computes keeps the interpreter for up to 5 ms at a time; the row "
                "of the thread that counts shows it without any message.",
                "Median and [lowest-highest] of interleaved rounds.",
            ],
            ["situation", "contender", "largest gap, ms", "all of it, s"],
            rows[loop],
            samples[loop],
        )
        for loop in LOOPS
    ]
