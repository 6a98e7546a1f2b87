"""A WebSocket server in a process of its own, and what it takes to reach all of its clients.

It starts the process of its clients, lets contenders take turns on the same connections, and
believes nothing before the clients have said that they received exactly what was published.
"""

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from time import monotonic, process_time
from typing import Any, NamedTuple

from websockets.asyncio.server import ServerConnection, serve

from driftline.websockets import serve_options

from .audience import Miscount
from .descriptors import raise_limit
from .loops import ASYNCIO, UVLOOP
from .measure import ROOT, in_fresh_process, percentile
from .memory import resident
from .ws_clients import SOCKET_IO, WITNESSES, Answer, Group, Question
from .ws_contenders import MAKE, Connections, WebSocketContender
from .ws_messages import messages
from .ws_rivals import NATIVE, ROOM, run_application, serve_room, serve_topic

PLAIN = "no compression"
STOCK = "permessage-deflate as serve() negotiates it"
SHARED = "permessage-deflate of serve_options()"


@asynccontextmanager
async def serve_websockets(
    connections: list[ServerConnection], **options: Any
) -> AsyncIterator[int]:
    """Serve with websockets. Gives the port."""

    async def handle(connection: ServerConnection) -> None:
        connections.append(connection)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, ping_interval=None, **options) as server:
        [listening] = server.sockets
        yield listening.getsockname()[1]


KINDS: dict[str, Callable[[list[Any]], AbstractAsyncContextManager[int]]] = {
    PLAIN: partial(serve_websockets, compression=None),
    STOCK: serve_websockets,
    SHARED: partial(serve_websockets, **serve_options()),
    ROOM: serve_room,
    NATIVE: serve_topic,
}
"""What serves connections of a kind, and puts what it has for each into a list."""

RUN: dict[str, Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]] = {
    ASYNCIO.name: ASYNCIO.run,
    UVLOOP.name: UVLOOP.run,
    NATIVE: run_application,
}

a_moment = partial(asyncio.sleep, 0.001)
HEAD_START = 0.001
"""Seconds for which one who is late publishes without letting the event loop turn."""
PATIENCE = 20.0
"""Seconds without one byte after which the clients take the missing ones for lost."""
LOOK = 0.1
"""Seconds between two looks at memory."""


class WebSocketAudience:
    """The connections of all kinds, and the process at their other ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.connections: dict[str, list[Any]] = {}
        self.published = 0

    async def answer(self) -> Any:
        """Return what the clients say next."""
        assert self.process.stdout is not None
        return json.loads(await self.process.stdout.readline() or b'"gone"')

    async def verify(self, kind: str, how_many: int, size: int) -> Answer:
        """Raise `Miscount` unless exactly the next so many messages have come to all of a kind."""
        group = list(self.connections).index(kind)
        question = Question(group, self.published, how_many, size, PATIENCE)
        self.published += how_many
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        answer = await self.answer()
        if answer == "gone" or Answer(*answer).wrong:
            raise Miscount(f"{kind}: {answer if answer == 'gone' else Answer(*answer).wrong}")
        return Answer(*answer)


@asynccontextmanager
async def websocket_audience(
    kinds: Sequence[str], clients: int, stalled: int, witnesses: int
) -> AsyncIterator[WebSocketAudience]:
    """Serve so many clients of each kind, in a process that is started for it."""
    async with AsyncExitStack() as stack:
        connections: dict[str, list[Any]] = {kind: [] for kind in kinds}
        groups = []
        for kind in kinds:
            port = await stack.enter_async_context(KINDS[kind](connections[kind]))
            path = SOCKET_IO if kind == ROOM else ""
            groups.append(Group(port, clients, stalled, witnesses, path))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.ws_clients", json.dumps(groups)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 28,
        )
        try:
            audience = WebSocketAudience(process)
            audience.connections = connections
            if await audience.answer() != "connected":
                raise Miscount(f"{clients} clients could not connect")
            while any(len(each) < clients for each in connections.values()):
                await ASYNCIO.checkpoint()
            gc.collect()
            gc.freeze()  # so that no turn has to go through all connections
            yield audience
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()


async def publish(contender: WebSocketContender, message: Any) -> None:
    """Publish, and wait where the contender does."""
    publishing = contender.publish(message)
    if isinstance(publishing, Awaitable):
        await publishing


async def deliver(contender: WebSocketContender, tick: Sequence[Any]) -> None:
    """Publish in one tick, and let the loop turn until all connections have been written to."""
    for message in tick:
        await publish(contender, message)
    while not contender.complete():
        await ASYNCIO.checkpoint()
    await ASYNCIO.checkpoint()  # uvloop writes at the end of a turn


def unsent(connections: Connections) -> int:
    """Return how many bytes were written that the kernel has not taken."""
    return sum(connection.transport.get_write_buffer_size() for connection in connections)


async def drained(connections: Connections) -> None:
    """Wait until the kernel has taken everything."""
    while unsent(connections):
        await a_moment()


async def turn(
    audience: WebSocketAudience, name: str, kind: str, size: int, burst: int, ticks: int
) -> float:
    """Return the microseconds of processor time for each delivered message."""
    connections = audience.connections[kind]
    contender = MAKE[name](connections)
    await ASYNCIO.checkpoint()  # in which tasks start
    how_many = 1 + burst * ticks
    first, *others = [
        contender.prepare(message) for message in messages(audience.published, how_many, size)
    ]
    await deliver(contender, [first])
    await drained(connections)
    gc.collect()
    begin = process_time()
    for start in range(0, len(others), burst):
        await deliver(contender, others[start : start + burst])
    await drained(connections)
    taken = process_time() - begin
    await audience.verify(kind, how_many, size)
    await contender.stop()
    return taken / (burst * ticks * len(connections)) * 1e6


async def cost(
    audience: WebSocketAudience,
    kinds: Mapping[str, str],
    size: int,
    burst: int,
    ticks: int,
    rounds: int,
) -> dict[str, list[float]]:
    """Return the cost of a delivery for each contender, round by round, in shuffled order."""
    results: dict[str, list[float]] = {name: [] for name in kinds}
    shuffled = Random(size)
    for _ in range(rounds):
        for name in shuffled.sample(list(kinds), len(kinds)):
            results[name].append(await turn(audience, name, kinds[name], size, burst, ticks))
    return results


async def offer(
    contender: WebSocketContender, prepared: Sequence[Any], rate: float, start: float
) -> int:
    """Publish each message when it is due, or as soon as it can be; return how many were.

    It gives up when all should have been published, and returns then.
    """
    published = 0
    turned = start
    while published < len(prepared):
        now = monotonic()
        due = start + published / rate
        if now >= start + len(prepared) / rate:
            break
        if now < due or now - turned > HEAD_START:
            await asyncio.sleep(max(0, due - now))
            turned = monotonic()
        else:
            await publish(contender, prepared[published])
            published += 1
    await asyncio.sleep(start + len(prepared) / rate - monotonic())
    return published


class Overloaded(NamedTuple):
    """What became of a rate that was offered."""

    achieved: float
    """Messages a second, until the last one came."""
    lateness: dict[str, float]
    """Seconds from when a message was due until it was received, by percentile."""
    processor: float
    """The share of one processor."""


async def overload(
    audience: WebSocketAudience, name: str, kind: str, size: int, rate: int, seconds: float
) -> Overloaded:
    """Offer so many messages a second, and see when they come."""
    connections = audience.connections[kind]
    contender = MAKE[name](connections)
    await ASYNCIO.checkpoint()
    how_many = int(rate * seconds)
    prepared = [
        contender.prepare(message) for message in messages(audience.published, how_many, size)
    ]
    gc.collect()
    start, begin = monotonic(), process_time()
    published = await offer(contender, prepared, rate, start)
    while not contender.complete():
        await ASYNCIO.checkpoint()
    await drained(connections)
    processor = (process_time() - begin) / (monotonic() - start)
    answer = await audience.verify(kind, published, size)
    await contender.stop()
    late = [
        arrival - start - number / rate
        for arrivals in answer.arrivals
        for number, arrival in enumerate(arrivals)
    ]
    last = max(arrivals[-1] for arrivals in answer.arrivals)
    return Overloaded(
        published / (last - start),
        {str(each): percentile(late, each) for each in (50, 95, 99)},
        processor,
    )


class Held(NamedTuple):
    """The most bytes at any time because of those who do not read."""

    unsent: int
    resident: int
    """More than before."""


async def stalled(
    audience: WebSocketAudience, name: str, kind: str, size: int, rate: int, seconds: float
) -> Held:
    """Offer so many messages a second, of which some clients read none, and look at memory."""
    connections = audience.connections[kind]
    contender = MAKE[name](connections)
    await ASYNCIO.checkpoint()
    how_many = int(rate * seconds)
    prepared = [
        contender.prepare(message) for message in messages(audience.published, how_many, size)
    ]
    gc.collect()
    before = resident()
    looks: list[Held] = []

    async def look() -> None:
        while True:
            looks.append(Held(unsent(connections), resident() - before))
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look())
    published = await offer(contender, prepared, rate, monotonic())
    await asyncio.sleep(2 * LOOK)
    looking.cancel()
    await audience.verify(kind, published, size)
    return Held(*map(max, zip(*looks, strict=True)))


MEASURES: dict[str, Callable[..., Awaitable[Any]]] = {
    "cost": cost,
    "overload": overload,
    "stalled": stalled,
}


class Server(NamedTuple):
    """What a process does: whom it serves, and what it measures, with which arguments."""

    loop: str
    kinds: list[str]
    clients: int
    stalled: int
    measures: list[tuple[str, dict[str, Any]]]
    witnesses: int = WITNESSES

    def run(self) -> list[Any]:
        """Measure in a fresh process."""
        found: list[Any] = in_fresh_process(__name__, json.dumps(self))
        return found

    async def measure(self) -> list[Any]:
        """Measure here."""
        async with websocket_audience(
            self.kinds, self.clients, self.stalled, self.witnesses
        ) as audience:
            return [
                await MEASURES[name](audience, **arguments) for name, arguments in self.measures
            ]


if __name__ == "__main__":
    raise_limit()
    server = Server(*json.loads(sys.argv[1]))
    print(json.dumps(RUN[server.loop](server.measure)))
