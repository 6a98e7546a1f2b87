"""What does each way to broadcast cost a WebSocket server, and how late are its clients?

The load is that of `experiments/broadcast` in the repository of websockets: a message to all
clients at regular intervals, without compression. The ways are those of the page "Broadcasting
messages" of its documentation, each as it stands there, driftline, and two servers that broadcast
by themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from random import Random
from typing import Any, NamedTuple, cast

from . import drawing
from .loops import ASYNCIO, LOOPS, TRIO
from .measure import Table, Track, installed, interleave, ratios, spread
from .ws import possible
from .ws_contenders import (
    BROADCAST,
    DRIFTLINE,
    DRIFTLINE_SEND,
    FLOOR,
    NAIVE,
    PUBSUB,
    QUEUE,
    TASK,
    WAIT,
)
from .ws_rivals import NATIVE, ROOM
from .ws_server import PLAIN, Overloaded, Server

SHARED = {
    NAIVE: "naive",
    TASK: "task",
    WAIT: "wait",
    BROADCAST: "default",
    QUEUE: "queue",
    PUBSUB: "pubsub",
    DRIFTLINE_SEND: "",
    DRIFTLINE: "",
    FLOOR: "",
}
"""Who takes turns on the connections of one server, and what websockets calls them."""
KIBIBYTE = 1024


class Size(NamedTuple):
    """How much is measured."""

    loops: Sequence[str]
    clients: int
    rounds: int
    ticks: int
    """Messages in each turn whose cost is measured, one behind the other."""
    rate: int
    """Messages a second, where lateness is measured."""
    seconds: float
    witnesses: int


FULL = Size([loop.name for loop in LOOPS if loop is not TRIO], 1000, 3, 10, 20, 1.0, 20)
QUICK = Size([ASYNCIO.name], 20, 1, 3, 50, 0.1, 5)


class Result(NamedTuple):
    """What came of one contender in one round."""

    cost: float
    """Microseconds of the server for one delivered message."""
    paced: Overloaded


def measured(kind: str, names: Sequence[str], size: Size) -> list[tuple[str, dict[str, Any]]]:
    """Return what a server measures: cost and lateness of each contender in turn."""
    return [
        measure
        for name in names
        for measure in (
            (
                "cost",
                {
                    "kinds": {name: kind},
                    "size": KIBIBYTE,
                    "burst": 1,
                    "ticks": size.ticks,
                    "rounds": 1,
                },
            ),
            (
                "overload",
                {
                    "name": name,
                    "kind": kind,
                    "size": KIBIBYTE,
                    "rate": size.rate,
                    "seconds": size.seconds,
                },
            ),
        )
    ]


def turn(
    loop: str, kind: str, names: Sequence[str], shuffled: Random, clients: int, size: Size
) -> dict[str, Result]:
    """Measure those who share the connections of one fresh server, in another order each time."""
    order = shuffled.sample(names, len(names))
    found = Server(loop, [kind], clients, 0, measured(kind, order, size), size.witnesses).run()
    results = {
        name: Result(costs[name][0], Overloaded(*paced))
        for name, costs, paced in zip(order, found[::2], found[1::2], strict=True)
    }
    return {name: results[name] for name in names}


def servers(loop: str, clients: int, size: Size) -> dict[str, Callable[[], dict[str, Result]]]:
    """Return the servers that take turns on a loop; socketify makes its own, on asyncio."""
    shuffled = Random(1)
    turns: dict[str, Callable[[], dict[str, Result]]] = {
        PLAIN: partial(turn, loop, PLAIN, list(SHARED), shuffled, clients, size)
    }
    if find_spec("socketio"):
        turns[ROOM] = partial(turn, loop, ROOM, [ROOM], shuffled, clients, size)
    if find_spec("socketify") and loop == ASYNCIO.name:
        turns[NATIVE] = partial(turn, NATIVE, NATIVE, [NATIVE], shuffled, clients, size)
    return turns


def row(
    first: str, name: str, size: Size, results: Sequence[Result], base: Sequence[Result]
) -> list[str]:
    """Show one contender."""
    costs = [result.cost for result in results]
    return [
        first,
        name,
        SHARED.get(name) or "-",
        spread(costs),
        spread([1e6 / cost for cost in costs]),
        spread(ratios([result.cost for result in base], costs), "x"),
        spread([result.paced.processor * 100 for result in results], "%"),
        spread([min(result.paced.achieved, size.rate) for result in results]),
        *(
            spread([result.paced.lateness[percent] * 1000 for result in results])
            for percent in ("50", "95", "99")
        ),
    ]


def samples(results: Sequence[Result]) -> Mapping[str, list[float]]:
    """Return what was measured of one contender, round by round; milliseconds of lateness."""
    return {
        "cost": [result.cost for result in results],
        "load": [result.paced.processor for result in results],
        "achieved": [result.paced.achieved for result in results],
        **{
            f"p{percent}": [result.paced.lateness[percent] * 1000 for result in results]
            for percent in ("50", "95", "99")
        },
    }


def settings(size: Size) -> list[str]:
    """Say what was measured, and of whom."""
    return [
        "us a delivery: processor time, user and system, of the server's process for each message "
        f"and client; {size.ticks} messages, one behind the other, each when the one before has "
        "been written to all connections. To its right the deliveries that fill one processor, "
        f"and how many times cheaper than {BROADCAST} they are, round by round.",
        f"load: of one processor, while {size.rate} messages a second are published for "
        f"{size.seconds:g} s. rate: messages a second until the last one came; what is not "
        "published in time is left.",
        "p50 to p99: from when a message was due until a client had it, of all messages at "
        f"{size.witnesses} clients spread over all. They read in one process, one after the other.",
        "pattern: its name in experiments/broadcast of websockets, and as the page Broadcasting "
        "messages of its documentation has it.",
        f"{DRIFTLINE}: `relay` in the handler, stock `serve()`. {DRIFTLINE_SEND}: `async for` over "
        "a subscription in the handler, topics without limits. "
        f"{FLOOR}: frames made before, written to each connection.",
        f"{ROOM}: `await emit(..., room=...)` of `AsyncServer` on aiohttp, its default settings "
        "but for pings; the message is JSON in its frame. "
        f"{NATIVE}: `app.publish(topic, ...)`, WebSocket settings as they are if nothing is said; "
        "its loop is native, and asyncio polls it without a pause while there is traffic, which "
        "is most of its load.",
        "No compression, no pings. The clients are in another process, and count every byte; "
        "those spread over all decode, and compare every message.",
        "Those with websockets take turns on the same connections, shuffled; the others have a "
        "server process of their own, and take turns with that one. Processes are fresh in each "
        f"round; median and [lowest-highest] of {size.rounds}.",
        f"{', '.join(map(installed, ('websockets', 'python-socketio', 'aiohttp', 'socketify')))}, "
        "on the loopback. Clients delay acknowledgements.",
    ]


def plot(tables: Sequence[Table]) -> str:
    """Draw how many deliveries fill one processor."""
    by_loop = cast(Mapping[str, Mapping[str, Mapping[str, list[float]]]], tables[0].samples)
    return drawing.bars(
        "WebSocket deliveries that fill one processor of the server, by way to broadcast",
        {
            loop: {
                f"{name} ({SHARED[name]})" if SHARED.get(name) else name: [
                    1e6 / cost for cost in measured["cost"]
                ]
                for name, measured in contenders.items()
            }
            for loop, contenders in by_loop.items()
        },
        "deliveries a second",
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every way on every loop."""
    size = QUICK if quick else FULL
    clients = possible(size.clients, [PLAIN])
    rows: list[list[str]] = []
    found: dict[str, dict[str, Mapping[str, list[float]]]] = {}
    for loop in track(size.loops, "ws patterns"):
        by_server = interleave(servers(loop, clients, size), size.rounds)
        results = {
            name: [each[name] for each in rounds]
            for rounds in by_server.values()
            for name in rounds[0]
        }
        found[loop] = {name: samples(each) for name, each in results.items()}
        rows += [
            row(loop if name == NAIVE else "", name, size, each, results[BROADCAST])
            for name, each in results.items()
        ]
    return [
        Table(
            f"WebSocket deliveries by pattern: {clients:,} clients, 1 KiB, {size.rate} a second",
            settings(size),
            [
                "loop",
                "contender",
                "pattern",
                "us a delivery",
                "a second of one processor",
                f"to {BROADCAST}",
                "load",
                "rate",
                "p50, ms",
                "p95, ms",
                "p99, ms",
            ],
            rows,
            found,
        )
    ]
