"""How much memory does a pending message take, beside its payload?

Every message carries the same payload object, so what grows is what the bus itself needs. Each
measurement is a fresh process, because a process rarely gives memory back; it is taken once from
Python's own accounts (tracemalloc) and once from what the system has handed out (resident size).
Afterwards the pending messages are read and counted.
"""

import asyncio
import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple, cast

from . import drawing
from .audience import Miscount
from .contenders import (
    DOCUMENTED,
    DRIFTLINE,
    QUEUES,
    AsyncioQueues,
    DocumentedList,
    Driftline,
    Stallable,
)
from .measure import Table, Track, in_fresh_process, interleave, ratios, spread

SIZED = "driftline with sizeof"
CONTENDERS: dict[str, Callable[[], Stallable[bytes]]] = {
    QUEUES: AsyncioQueues,
    DOCUMENTED: DocumentedList,
    DRIFTLINE: Driftline,
    SIZED: partial(Driftline, sizeof=len),
}
PAYLOAD = bytes(128)
COUNTED = 500_000
"""As many deliveries, at most, are counted after a measurement: of all readers or every n-th."""


class Size(NamedTuple):
    """How many readers stall how many messages behind; queues need a smaller number of them."""

    readers: int
    messages: int
    messages_in_queues: int


FULL = [Size(1, 300_000, 300_000), Size(100, 30_000, 6_000), Size(1000, 30_000, 600)]
QUICK = [Size(20, 2_000, 500)]


def resident() -> int:
    """Return the bytes that this process occupies, or 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def traced() -> int:
    """Return the bytes that Python has allocated."""
    return tracemalloc.get_traced_memory()[0]


async def weigh(name: str, readers: int, messages: int, method: str) -> float:
    """Return the bytes per pending message of one contender, after counting the messages."""
    contender = CONTENDERS[name]()
    stalled = [contender.stall() for _ in range(readers)]
    if method == "traced":
        tracemalloc.start()
    used = traced if method == "traced" else resident
    gc.collect()
    before = used()
    for _ in range(messages):
        contender.publish(PAYLOAD)
    gc.collect()
    after = used()
    tracemalloc.stop()
    for reader in stalled[:: -(-readers * messages // COUNTED)]:
        received = sum(value is PAYLOAD for value in contender.pending(reader))
        if received != messages:
            raise Miscount(f"{name}: {received} of {messages} messages received")
    return (after - before) / messages


def plot(tables: Sequence[Table]) -> str:
    """Draw what a pending message takes, by number of stalled readers."""
    [table] = tables
    samples = cast(Mapping[str, list[float]], table.samples)
    traced: dict[str, dict[float, list[float]]] = {}
    for name in sorted(samples, key=lambda name: not name.startswith(DRIFTLINE)):
        contender, readers, method = name.split(", ")
        if method == "traced":
            traced.setdefault(contender, {})[int(readers)] = samples[name]
    return drawing.lines(
        "Bytes for each pending message, by number of stalled readers",
        {"asyncio": traced},
        "stalled readers",
        "bytes a message",
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every contender with every number of stalled readers."""
    sizes = QUICK if quick else FULL
    rows = []
    samples: dict[str, object] = {}
    # What Python has allocated is the same each time; and the system gives whole pages.
    methods = {"traced": 1} if quick else {"traced": 1, "resident": 3}
    for size, (method, rounds) in track(list(product(sizes, methods.items())), "memory"):
        turns = {
            name: partial(
                in_fresh_process,
                __name__,
                name,
                size.readers,
                size.messages_in_queues if name == QUEUES else size.messages,
                method,
            )
            for name in CONTENDERS
        }
        results = interleave(turns, rounds)
        for name, values in results.items():
            samples[f"{name}, {size.readers}, {method}"] = values
            messages = size.messages_in_queues if name == QUEUES else size.messages
            first = [f"{size.readers:,}", method] if name == QUEUES else ["", ""]
            share = ratios(values, results[QUEUES]) if min(results[QUEUES]) > 0 else []
            rows.append([*first, name, f"{messages:,}", spread(values), spread(share, "x")])
    return [
        Table(
            "Bytes per pending message, beside the payload",
            [
                "Readers that subscribed and never read; every message is the same object.",
                "traced: by tracemalloc; resident: by the growth of the process, which may have "
                "had some to spare.",
                "Queues get fewer messages with many readers, for time; their share is constant.",
                f"{QUEUES}: unbounded; {DRIFTLINE}: one topic without limits, without and with "
                f"`sizeof=len`; {DOCUMENTED}: `PubSub` of the websockets documentation.",
                "Each number is a fresh process; resident: median and [lowest-highest] of 3.",
            ],
            ["readers", "measure", "contender", "messages", "bytes a message", "to queues"],
            rows,
            samples,
        )
    ]


if __name__ == "__main__":
    contender, readers, messages, method = sys.argv[1:]
    print(json.dumps(asyncio.run(weigh(contender, int(readers), int(messages), method))))
