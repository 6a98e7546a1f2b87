"""A shop with a few dozen readers, some of whom are slow now and then."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import anyio
from anyio.from_thread import start_blocking_portal
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from driftline import Bus, OnLag
from driftline.hub import Hub
from driftline.protocol import SUBPROTOCOL, Subscribe, write_request

TOPICS = {
    "orders.eu.created": 14.0,
    "orders.eu.paid": 11.0,
    "orders.us.created": 19.0,
    "orders.us.paid": 16.0,
    "orders.us.refused": 0.7,
    "prices.eur": 120.0,
    "prices.gbp": 45.0,
    "prices.usd": 160.0,
    "stock.berlin": 8.0,
    "stock.denver": 9.0,
    "stock.lyon": 5.0,
    "alerts.payments": 0.25,
    "chat.lobby": 1.4,
    "logs.web": 70.0,
}
"""Messages a second."""

CLIENTS = (
    *((f"display {city}", ("prices.*",)) for city in ("Oslo", "Porto", "Kyoto", "Quito", "Accra")),
    *((f"till {number:02}", ("orders.eu.>", "stock.berlin")) for number in range(1, 13)),
    ("warehouse Berlin", ("stock.*", "orders.*.paid")),
    ("support desk", ("chat.>", "alerts.>")),
)
"""What comes over WebSocket, and keeps up."""

READERS: tuple[tuple[str, tuple[str, ...], float, float, OnLag, int], ...] = (
    ("search index", ("orders.>", "stock.>"), 135.0, 55.0, "skip", 5000),
    ("invoice printer", ("orders.*.paid",), 36.0, 60.0, "skip", 1000),
    ("fraud check", ("orders.>",), 105.0, 75.0, "close", 5000),
    ("archive", ("orders.>", "logs.>"), 210.0, 85.0, "skip", 20000),
    ("phone, in a train", ("prices.eur",), 158.0, 24.0, "latest", 900),
    ("log shipper", ("logs.web",), 98.0, 90.0, "skip", 600),
    ("recommendations", ("orders.>",), 300.0, 50.0, "skip", 5000),
    ("exchange desk", ("prices.usd",), 1000.0, 40.0, "skip", 5000),
)
"""A name, patterns, messages a second while it reads, and how often it takes a break."""


def new_bus() -> Bus:
    """Return a bus that knows how large its messages are."""
    return Bus(limit=100_000, replay=50, sizeof=lambda value: len(json.dumps(value)))


@contextmanager
def market(bus: Bus, hub: Hub) -> Iterator[None]:
    """Have it busy while a block runs."""
    with start_blocking_portal() as portal:
        running = portal.start_task_soon(_run, bus, hub)
        try:
            yield
        finally:
            running.cancel()


async def _run(bus: Bus, hub: Hub) -> None:
    async with anyio.create_task_group() as tasks:
        for name, patterns, rate, pause, on_lag, max_lag in READERS:
            tasks.start_soon(_read, bus, name, patterns, rate, pause, on_lag, max_lag)
        for name, patterns in CLIENTS:
            tasks.start_soon(_connect, hub, name, patterns)
        for topic, rate in TOPICS.items():
            tasks.start_soon(_publish, bus, topic, rate)


async def _publish(bus: Bus, topic: str, rate: float) -> None:
    while True:
        await anyio.sleep(random.expovariate(rate))
        bus.publish(topic, _value(topic))


async def _read(
    bus: Bus,
    name: str,
    patterns: tuple[str, ...],
    rate: float,
    pause: float,
    on_lag: OnLag,
    max_lag: int,
) -> None:
    # Some are behind when a picture is taken after five minutes.
    began = monotonic() + 290 - pause * random.uniform(0.1, 0.4)
    with bus.subscribe(*patterns, name=name, on_lag=on_lag, max_lag=max_lag) as subscription:
        while True:
            await anyio.sleep(0.1)
            if (monotonic() - began) % pause > pause * 0.3:
                for _ in range(round(rate / 10)):
                    if not subscription.lag:
                        break
                    subscription.receive_nowait()


async def _connect(hub: Hub, name: str, patterns: tuple[str, ...]) -> None:
    async with connect(hub.url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as websocket:
        await websocket.send(write_request(Subscribe(patterns=patterns, name=name)))
        async for _ in websocket:
            await asyncio.sleep(0)


def _value(topic: str) -> Any:
    family, _, rest = topic.partition(".")
    number = random.randrange(40_000, 99_999)
    if family == "orders":
        return {
            "order": number,
            "items": random.randrange(1, 9),
            "total": round(random.lognormvariate(3.6, 0.7), 2),
        }
    if family == "alerts":
        return random.choice(("card terminal 7 is offline", "refunds above 5 % in the last hour"))
    if family == "chat":
        return {"from": random.choice(("ada", "bob", "eve")), "text": "is the harbour still shut?"}
    if family == "logs":
        return f"GET /articles/{number} 200 {random.randrange(3, 90)} ms"
    return {"of": rest, "now": round(random.uniform(0.9, 1.2), 4), "left": number % 500}
