"""A hub in a process of its own, that publishes to clients which are in another.

It prints its port, then publishes when all have come, and prints what that has cost in memory.
"""

import asyncio
import gc
import json
import sys
from time import monotonic

from driftline import Bus
from driftline.hub import Limits, serve

from .descriptors import raise_limit
from .loops import ASYNCIO, UVLOOP
from .memory import resident
from .ws_clients import tell

TOPIC = "ticks"
END = "end"
LOOK = 50
"""Messages between two looks at memory."""


async def measure(clients: int, rate: float, size: int, seconds: float, patience: float) -> None:
    """Serve so many clients, and publish so many messages a second with the time in each."""
    bus = Bus(limit=10_000, sizeof=len)
    # The clients count bytes, and answer no pings.
    limits = Limits(connections=2 * clients, patience=patience, ping_seconds=10 * seconds)
    async with serve(bus, port=0, limits=limits) as hub:
        tell(hub.port)
        while hub.connections < clients:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        gc.collect()
        before = most = resident()
        start = monotonic()
        published = int(rate * seconds)
        for number in range(published):
            await asyncio.sleep(max(0.0, start + number / rate - monotonic()))
            bus.publish(TOPIC, f"{monotonic()} ".ljust(size, "x"))
            if not number % LOOK:
                most = max(most, resident())
        bus.publish(TOPIC, END)
        await asyncio.to_thread(sys.stdin.read)  # until the clients have read all
        tell({"published": published, "grown": max(most, resident()) - before})


if __name__ == "__main__":
    raise_limit()
    loop, arguments = json.loads(sys.argv[1])
    [chosen] = [each for each in (ASYNCIO, UVLOOP) if each.name == loop]
    chosen.run(lambda: measure(*arguments))
