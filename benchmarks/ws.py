"""What does it cost a server to bring a message to thousands of WebSocket clients?

Processor time of the server for each delivered message, beside websockets' own `broadcast()`: one
message per tick, ten in a tick, with and without compression. Then what is left of a rate that is
too high, and what clients that read nothing cost in memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import median
from typing import Any, NamedTuple, cast

from . import drawing
from .descriptors import raise_limit
from .loops import LOOPS, TRIO
from .measure import Table, Track, installed, ratios, spread
from .ws_contenders import (
    BROADCAST,
    DRIFTLINE,
    DRIFTLINE_LIMITED,
    DRIFTLINE_STOCK,
    FLOOR,
    LIMIT,
    PUBSUB,
    QUEUE,
)
from .ws_server import PLAIN, SHARED, STOCK, Held, Overloaded, Server

SMALL, USUAL, LARGE = "100 B", "1 KiB", "10 KiB"
SIZES = {SMALL: 100, USUAL: 1024, LARGE: 10240}
SPARE = 100
"""Descriptors of a process that are not connections."""


class Case(NamedTuple):
    """How messages are published, and by whom."""

    name: str
    burst: int
    kinds: Mapping[str, str]
    """The contenders, and what their connections have negotiated."""


PLAINLY = dict.fromkeys((BROADCAST, PUBSUB, QUEUE, DRIFTLINE, FLOOR), PLAIN)
COMPRESSED = {
    **dict.fromkeys((BROADCAST, PUBSUB, DRIFTLINE_STOCK), STOCK),
    **dict.fromkeys((DRIFTLINE, FLOOR), SHARED),
}
ONE = Case("one message per tick", 1, PLAINLY)
ONE_COMPRESSED = Case("one message per tick, deflate", 1, COMPRESSED)
TEN = Case("ten messages in a tick", 10, PLAINLY)
TEN_COMPRESSED = Case("ten messages in a tick, deflate", 10, COMPRESSED)
CASES = [ONE, ONE_COMPRESSED, TEN, TEN_COMPRESSED]


class Size(NamedTuple):
    """How much is measured."""

    clients: Sequence[int]
    middle: int
    """The number of clients that bursts, all sizes of messages and overload have."""
    rounds: int
    deliveries: int
    """In each turn, about; a third of it with compression."""
    overload: int
    """Rounds of overload."""
    seconds: float
    """Of overload."""
    stalled: int
    """Clients that do not read, among ten times as many."""
    stall: float
    """Seconds."""
    together: bool = False
    """Whether one server has all kinds of connections."""


FULL = Size([200, 1000, 3000], 1000, 3, 4_000, 2, 1.5, 10, 10.0)
QUICK = Size([20], 20, 1, 60, 1, 0.2, 2, 0.3, together=True)
RATE = 1000
KIBIBYTE = 1024
MEBIBYTE = 1 << 20

Costs = dict[str, dict[str, dict[str, dict[str, list[float]]]]]
"""Microseconds for each delivered message: by loop, clients, size of the messages, contender."""


# Cost of a delivery.


def measured_together(size: Size) -> Iterator[tuple[int, list[Case]]]:
    """Return what one server measures: clients, and cases, without compression or with it."""
    for clients, kinds in product(size.clients, (PLAINLY, COMPRESSED)):
        cases = [case for case in CASES if case.burst == 1 or clients == size.middle]
        if not size.together:
            yield clients, [case for case in cases if case.kinds is kinds]
        elif kinds is PLAINLY:
            yield clients, cases


def possible(clients: int, kinds: Sequence[str]) -> int:
    """Return how many clients of each kind the system lets a process have, or all of these."""
    return min(clients, (raise_limit() - SPARE) // len(kinds))


def sent(case: Case, middle: bool) -> list[str]:
    """Return the sizes of the messages: not all everywhere, which would take most of the time."""
    if not middle:
        return [USUAL]
    return [SMALL, USUAL] if case.burst > 1 else list(SIZES)


def deliveries(case: Case, size: Size) -> int:
    """Return about how many deliveries make a turn."""
    return size.deliveries // 3 if case.kinds is COMPRESSED else size.deliveries


def costs(loop: str, clients: int, cases: Sequence[Case], size: Size) -> dict[str, Any]:
    """Measure in one server, and return the costs by case and size of the messages."""
    kinds = sorted({kind for case in cases for kind in case.kinds.values()})
    connected = possible(clients, kinds)
    middle = clients == size.middle
    cells = [(case, name) for case in cases for name in sent(case, middle)]
    measures = [
        (
            "cost",
            {
                "kinds": dict(case.kinds),
                "size": SIZES[name],
                "burst": case.burst,
                "ticks": -(-max(2, deliveries(case, size) // connected) // case.burst),
                "rounds": size.rounds,
            },
        )
        for case, name in cells
    ]
    found = Server(loop, kinds, connected, 0, measures).run()
    results: dict[str, Any] = {case.name: {} for case in cases}
    for (case, name), values in zip(cells, found, strict=True):
        results[case.name].setdefault(f"{connected}", {})[name] = values
    return results


def cost_title(case: Case) -> str:
    """Return the title of the table of a case."""
    return f"Microseconds of the server for one delivered message: {case.name}"


def cost_table(case: Case, results: Costs, rounds: int) -> Table:
    """Show one case."""
    rows: list[list[str]] = []
    sizes = [size for size in SIZES if any(size in each for each in at_all(results))]
    for loop, by_clients in results.items():
        for clients, by_size in by_clients.items():
            for name in case.kinds:
                first = name == next(iter(case.kinds))
                row = [loop if first else "", f"{int(clients):,}" if first else "", name]
                for size in sizes:
                    values = by_size.get(size)
                    row += (
                        [spread(values[name]), spread(cheaper(values, name), "x")]
                        if values
                        else ["-", "-"]
                    )
                rows.append(row)
    kinds = sorted(set(case.kinds.values()))
    return Table(
        cost_title(case),
        [
            "Processor time, user and system, of the server's process, for each message and "
            f"client; how many times less than {BROADCAST} behind it.",
            *(
                f"{kind}: {', '.join(name for name in case.kinds if case.kinds[name] == kind)}"
                for kind in kinds
            ),
            "The clients are in another process, and count every byte; a few of them decode with "
            "websockets' client, and compare every message.",
            f"In each tick {case.burst} published, then the loop turns until all connections have "
            "been written to; the time ends when the kernel has taken everything.",
            f"Left out, for time: {LARGE} in bursts, and all but {USUAL} with other numbers of "
            "clients than bursts have.",
            f"Contenders take turns on the same connections, shuffled in each of {rounds} rounds; "
            "median and [lowest-highest].",
            f"{installed('websockets')}, on the loopback. Clients delay acknowledgements.",
        ],
        [
            "loop",
            "clients",
            "contender",
            *(column for size in sizes for column in (f"{size}, us", "cheaper")),
        ],
        rows,
        results,
    )


def at_all(results: Costs) -> list[dict[str, dict[str, list[float]]]]:
    """Return the costs by size of the messages, of all loops and numbers of clients."""
    return [by_size for by_clients in results.values() for by_size in by_clients.values()]


def cheaper(values: Mapping[str, list[float]], name: str, rival: str = BROADCAST) -> list[float]:
    """Return how many times less one has cost than another, round by round."""
    return ratios(values[rival], values[name])


# Overload, and clients that do not read.


def overload(loops: Sequence[str], size: Size, track: Track) -> Table:
    """Measure what becomes of a rate that is too high for `broadcast()`."""
    names = [BROADCAST, DRIFTLINE]
    clients = possible(size.middle, [PLAIN])
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    for loop in track(loops, "ws, overload"):
        turns = [
            name for number in range(size.overload) for name in names[:: -1 if number % 2 else 1]
        ]
        arguments = {"kind": PLAIN, "size": KIBIBYTE, "rate": RATE, "seconds": size.seconds}
        measures = [("overload", {"name": name, **arguments}) for name in turns]
        server = Server(loop, [PLAIN], clients, 0, measures)
        found = [Overloaded(*each) for each in server.run()]
        for name in names:
            here = [each for turn, each in zip(turns, found, strict=True) if turn == name]
            samples[f"{loop}, {name}"] = [each._asdict() for each in here]
            rows.append([
                loop if name == names[0] else "",
                name,
                spread([each.achieved for each in here]),
                *(spread([each.lateness[p] * 1000 for each in here]) for p in ("50", "99")),
                spread([each.processor * 100 for each in here], "%"),
                f"{RATE:,} a second, 50 ms" if name == DRIFTLINE else "-",
            ])  # fmt: skip
    return Table(
        f"{RATE:,} messages a second of 1 KiB for {clients:,} clients",
        [
            f"Published when they are due, or as soon as it can be, for {size.seconds:g} s; "
            "what is not published by then is left.",
            "late: from when a message was due until a client had it, among those published, at "
            "clients spread over all.",
            f"Median and [lowest-highest] of {size.overload} rounds. {installed('websockets')}.",
        ],
        ["loop", "contender", "a second", "50% late, ms", "99% late, ms", "processor", "bar"],
        rows,
        samples,
    )


def stalled(loops: Sequence[str], size: Size, track: Track) -> Table:
    """Measure the memory that clients cost which do not read."""
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    arguments = {"kind": PLAIN, "size": KIBIBYTE, "rate": KIBIBYTE, "seconds": size.stall}
    cells = list(product(loops, (BROADCAST, DRIFTLINE_LIMITED)))
    for loop, name in track(cells, "ws, stalled"):
        measures = [("stalled", {"name": name, **arguments})]
        [found] = Server(loop, [PLAIN], 10 * size.stalled, size.stalled, measures).run()
        held = Held(*found)
        samples[f"{loop}, {name}"] = held._asdict()
        rows.append([
            loop if name == BROADCAST else "",
            name,
            *(f"{value / MEBIBYTE:.2f}" for value in held),
            "2 MiB" if name == DRIFTLINE_LIMITED else "-",
        ])  # fmt: skip
    return Table(
        f"Memory with {size.stalled} of {10 * size.stalled} clients not reading, "
        f"1 MiB a second for {size.stall:g} s",
        [
            "unsent: the sum of the connections' write buffers, at most; process: how much its "
            "resident size had grown, at most.",
            "The others are verified to have received everything. Each row is a fresh process.",
            f'driftline: `on_lag="skip"`, and a topic that keeps {LIMIT:,} messages, so that those '
            "clients stay; the others have the same settings.",
            f"{installed('websockets')}.",
        ],
        ["loop", "contender", "unsent, MiB", "process, MiB", "bar"],
        rows,
        samples,
    )


# What was wanted.


class Bar(NamedTuple):
    """How many times cheaper driftline is meant to be, at least."""

    case: Case
    sizes: Sequence[str]
    least: float
    rival: str = BROADCAST


BARS = [
    Bar(ONE, list(SIZES), 1.3),
    Bar(ONE, list(SIZES), 2.2, PUBSUB),
    Bar(ONE, list(SIZES), 2.2, QUEUE),
    Bar(ONE_COMPRESSED, ["100 B"], 3.5),
    Bar(ONE_COMPRESSED, ["1 KiB"], 5.5),
    Bar(ONE_COMPRESSED, ["10 KiB"], 14),
    Bar(TEN, ["100 B", "1 KiB"], 10),
    Bar(TEN_COMPRESSED, ["100 B", "1 KiB"], 30),
]


def bars(results: Mapping[str, Costs], loops: Sequence[str], middle: int) -> Table:
    """Show what was wanted beside what was measured, with as many clients as bursts have."""
    rows: list[list[str]] = []
    for bar in BARS:
        for size in bar.sizes:
            row = [bar.case.name, size, bar.rival, f"{bar.least:g}x"]
            for loop in loops:
                values = at_middle(results[bar.case.name][loop], middle)[size]
                times = cheaper(values, DRIFTLINE, bar.rival)
                met = "met" if median(times) >= bar.least else "not met"
                row.append(f"{spread(times, 'x')}, {met}")
            rows.append(row)
    return Table(
        f"How many times cheaper {DRIFTLINE} is, and is meant to be, with {middle:,} clients",
        ["From the tables above; no bar fails anything."],
        ["case", "message", "than", "at least", *loops],
        rows,
    )


def at_middle(
    by_clients: Mapping[str, dict[str, dict[str, list[float]]]], middle: int
) -> dict[str, dict[str, list[float]]]:
    """Return the costs for as many clients as bursts have, or the nearest number to it."""
    return by_clients[min(by_clients, key=lambda clients: abs(int(clients) - middle))]


def plot(tables: Sequence[Table]) -> str:
    """Draw what the tables of costs say, with as many clients as bursts have."""
    by_title = {table.title: table for table in tables}
    panels: dict[str, dict[str, dict[str, list[float]]]] = {}
    [middle] = {
        int(clients)
        for by_clients in cast(Costs, by_title[cost_title(TEN)].samples).values()
        for clients in by_clients
    }
    for case in CASES:
        results = cast(Costs, by_title[cost_title(case)].samples)
        for loop, by_clients in results.items():
            for size, values in at_middle(by_clients, middle).items():
                panels.setdefault(loop, {})[f"{case.name}, {size}"] = {
                    name: cheaper(values, name) for name in values if name != BROADCAST
                }
    return drawing.ratios(
        f"How many times cheaper than {BROADCAST} a delivery is for the server, "
        f"with {middle:,} clients",
        panels,
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every case on asyncio and uvloop."""
    size = QUICK if quick else FULL
    loops = [loop.name for loop in LOOPS if loop is not TRIO]
    others = loops[:1] if quick else loops
    results: dict[str, Costs] = {case.name: {} for case in CASES}
    for loop, (clients, cases) in track(list(product(loops, measured_together(size))), "ws, cost"):
        for case, found in costs(loop, clients, cases, size).items():
            results[case].setdefault(loop, {}).update(found)
    return [
        *(cost_table(case, results[case.name], size.rounds) for case in CASES),
        bars(results, loops, size.middle),
        overload(others, size, track),
        stalled(others, size, track),
    ]
