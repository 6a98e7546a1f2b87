"""How much memory does a pending message take with a hundred stalled readers, and what is lost?

Weighed like `memory`, by Python's own accounts, each in a fresh process. What is pending is read
afterwards: it must be everything, or as much as the peer is known to keep.
"""

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import cast

from .audience import PATIENCE, Miscount
from .contenders import BATCHES, DRIFTLINE
from .measure import Table, Track, in_fresh_process, interleave, ratios, spread
from .peers_contenders import BLINKER, PEERS, REACTIVEX, Holding, Peer, Take
from .peers_guarantees import CLAIMS

CALLBACKS = [REACTIVEX, BLINKER]
NOTHING_MORE = 0.05
"""Seconds to wait for a message that must not come."""


async def weigh(
    make: Callable[[], Peer], readers: int, messages: int, keeps: int | None
) -> tuple[float, int]:
    """Return the bytes per pending message, and how many messages were pending."""
    values = list(range(messages))
    async with cast(Holding, make()) as peer:
        stalled = [await peer.stall() for _ in range(readers)]
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for value in values:
            await peer.publish(value)
        await peer.settle(readers)  # Some hand over to a task of theirs.
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        expected = values[:keeps]
        for take in stalled:
            if await taken(take, len(expected)) != expected:
                raise Miscount(
                    f"a stalled reader did not receive exactly the first {len(expected)}"
                )
        if any(await asyncio.gather(*(taken(take, 1, NOTHING_MORE) for take in stalled))):
            raise Miscount(f"more than {len(expected)} messages were pending")
    return used / len(expected), len(expected)


async def taken(take: Take, messages: int, patience: float = PATIENCE) -> list[int]:
    """Take as many messages, or those that there are."""
    values: list[int] = []
    try:
        async with asyncio.timeout(patience):
            for _ in range(messages):
                values.append(await take())  # noqa: PERF401  # what came before the end counts
    except (TimeoutError, EOFError):
        pass
    return values


def table(track: Track, quick: bool) -> Table:
    """Weigh every peer that keeps messages in this process."""
    readers, messages, rounds = (20, 300, 1) if quick else (100, 2000, 3)
    turns = {
        name: partial(
            in_fresh_process, __name__, name, readers, messages if entry.keeps is None else 150
        )
        for name, entry in PEERS.items()
        if entry.available and name not in (BATCHES, *CALLBACKS)
    }
    results: dict[str, list[tuple[float, int]]] = {}
    for _ in track(range(1), "peers, memory"):
        results = interleave(turns, rounds)
    base = [used for used, _ in results[DRIFTLINE]]
    rows = []
    for name, entry in PEERS.items():
        if name == BATCHES:
            continue
        if name in CALLBACKS:
            fate = "blocks the publisher"
            rows.append([name, "-", "-", "-", fate, CLAIMS[name].bounded])
        elif name not in results:
            rows.append([name, *["not installed"] * 3, "-", CLAIMS[name].bounded])
        else:
            used = [used for used, _ in results[name]]
            fate = (
                "keeps all"
                if entry.keeps is None
                else f"keeps the first {entry.keeps}, drops the rest silently"
            )
            share = spread(ratios(used, base), "x") if name != DRIFTLINE else ""
            rows.append(
                [name, f"{results[name][0][1]:,}", spread(used), share, fate, CLAIMS[name].bounded]
            )
    return Table(
        f"Bytes per pending message with {readers} stalled readers, beside the payload: asyncio",
        [
            f"{readers} readers that subscribed and never read; each measurement is a fresh "
            f"process, traced by tracemalloc; median and [lowest-highest] of {rounds}.",
            "What was pending was then read and compared with what was published.",
            "Redis and NATS are left out: with them messages wait in the server and in the "
            "buffers of sockets, which are not this process's memory.",
        ],
        [
            "peer",
            "pending",
            "bytes a message",
            f"to {DRIFTLINE}",
            "a reader that stalls",
            "bounded when asked",
        ],
        rows,
        {name: [used for used, _ in values] for name, values in results.items()},
    )


if __name__ == "__main__":
    peer, size, count = sys.argv[1:]
    entry = PEERS[peer]
    print(json.dumps(asyncio.run(weigh(entry.make, int(size), int(count), entry.keeps))))
