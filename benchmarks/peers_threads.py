"""How many deliveries a second, published in a thread to the readers of an asyncio loop?

The loop sleeps while its readers have nothing to read, and the thread publishes as fast as it can.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from .audience import audience
from .contenders import (
    BATCHES,
    DRIFTLINE,
    AsyncioQueues,
    AsyncioQueuesFromThread,
    Contender,
    Driftline,
    DriftlineBatches,
)
from .loops import ASYNCIO
from .measure import Table, Track, installed, interleave, present, ratios, spread
from .peers_contenders import CULSANS, Receive


class QueuesAtOnce(AsyncioQueues[int]):
    """The queues, filled by the loop itself, which the thread asks once for each message."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()

    def publish(self, value: int) -> None:
        self.loop.call_soon_threadsafe(super().publish, value)


class QueuesOfTwoSides:
    """A queue per client, that a thread fills and a task reads, as culsans and janus have them."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.clients: list[Any] = []

    def publish(self, value: int) -> None:
        for client in self.clients:
            client.put(value)

    async def read(self, receive: Receive) -> None:
        queue = self.make()
        filled, client = queue.sync_q, queue.async_q
        self.clients.append(filled)
        try:
            while True:
                receive(await client.get())
        finally:
            self.clients.remove(filled)  # Putting into a closed one raises.
            await queue.aclose()


def culsans_queues() -> QueuesOfTwoSides:
    """Return one `culsans.Queue` per client."""
    import culsans

    return QueuesOfTwoSides(culsans.Queue[int])


def janus_queues() -> QueuesOfTwoSides:
    """Return one `janus.Queue` per client."""
    import janus

    return QueuesOfTwoSides(janus.Queue[int])


JANUS = "janus.Queue per client"
AT_ONCE = "asyncio.Queue per client, one call_soon_threadsafe"
EACH = "asyncio.Queue per client, call_soon_threadsafe each"

MAKERS: dict[str, Callable[[], Contender[int]]] = {
    DRIFTLINE: Driftline,
    BATCHES: DriftlineBatches,
    AT_ONCE: QueuesAtOnce,
    EACH: AsyncioQueuesFromThread,
    CULSANS: culsans_queues,
    JANUS: janus_queues,
}
DISTRIBUTIONS = {CULSANS: "culsans", JANUS: "janus"}


def available() -> dict[str, Callable[[], Contender[int]]]:
    """Return those of which the library is installed."""
    missing = [name for name, library in DISTRIBUTIONS.items() if not present(library)]
    return {name: make for name, make in MAKERS.items() if name not in missing}


async def turn(make: Callable[[], Contender[int]], readers: int, messages: int) -> float:
    """Return the deliveries a second of one contender, alone on its loop."""
    async with audience(ASYNCIO, make(), readers) as listeners:
        await listeners.deliver(1)
        values = listeners.expect(messages)

        def publish_all() -> None:
            for value in values:
                listeners.publish(value)

        begin = perf_counter()
        await asyncio.to_thread(publish_all)
        await listeners.received()
        return readers * messages / (perf_counter() - begin)


def table(track: Track, quick: bool) -> Table:
    """Measure everything that is made for publishing from a thread."""
    readers, messages, rounds = (20, 20, 2) if quick else (100, 300, 5)
    turns = {
        name: partial(ASYNCIO.run, turn, make, readers, messages)
        for name, make in available().items()
    }
    results: dict[str, list[float]] = {}
    for _ in track(range(1), "peers, threads"):
        results = interleave(turns, rounds)

    def row(name: str) -> list[str]:
        if name not in results:
            return [name, "not installed", "-"]
        ratio = spread(ratios(results[DRIFTLINE], results[name]), "x") if name != DRIFTLINE else ""
        return [name, spread(results[name]), ratio]

    return Table(
        f"Deliveries a second, published in a thread to {readers} readers: asyncio",
        [
            f"{messages} messages in a row, until the last reader has the last; readers are "
            "tasks on one loop, which sleeps when they have nothing to read.",
            f"{AT_ONCE}: one call for each message, in which the loop fills all queues.",
            f"{EACH}: `loop.call_soon_threadsafe(queue.put_nowait, value)` for each queue.",
            f"{CULSANS}, {JANUS}: `queue.sync_q.put()`, `await queue.async_q.get()`; "
            f"{installed('culsans')}, {installed('janus')}.",
            f"Median and [lowest-highest] of {rounds} interleaved rounds.",
        ],
        ["publisher", "deliveries a second", f"{DRIFTLINE} is"],
        [row(name) for name in MAKERS],
        results,
    )
