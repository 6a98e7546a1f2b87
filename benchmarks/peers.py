"""driftline beside every library that one would pick instead: how fast, how large, how safe?

Each is used as its own documentation shows it, and each message to each reader is checked. They do
not all give the same: the last table says who gives what, and a column of the first who lacks what.
All of this is on asyncio, which most of them need.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import cast

from . import deliveries, drawing, peers_guarantees, peers_memory, peers_threads
from .audience import AwaitedAudience, reading
from .contenders import BATCHES, DRIFTLINE
from .deliveries import Size
from .loops import ASYNCIO
from .measure import Table, Track, installed, interleave, ratios, spread
from .peers_brokers import brokers
from .peers_contenders import PEERS, Entry, Peer

FLOOR = deliveries.FLOOR
BURST = deliveries.BURST
MODES = {"single": "one", "burst": str(BURST)}
"""How many messages are published in a row, in the rows of a table."""

MANY = 1000

FULL = [
    Size(10, 200, 8, 3),
    Size(100, 40, 1, 3),
    Size(1000, 5, 1, 3),
    Size(10_000, 2, 1, 2),
]
QUICK = [Size(10, 5, 1, 2)]

Rates = dict[str, float]
"""Deliveries a second, by the way of publishing; without those that were not measured."""

Samples = dict[str, dict[str, dict[str, list[float]]]]
"""Deliveries a second of each round, by the way of publishing, the peer, and the readers."""


@asynccontextmanager
async def listening(make: Callable[[], Peer], size: int) -> AsyncIterator[AwaitedAudience]:
    """Start `size` readers of a peer, all waiting; at the end check what they received."""
    async with make() as peer:
        readers = AwaitedAudience(ASYNCIO, peer.publish, size)
        async with reading(ASYNCIO, readers, peer.read, partial(peer.settle, size)):
            yield readers


async def turn(entry: Entry, size: Size) -> Rates:
    """Measure one peer, alone on its loop."""
    rates = {}
    async with listening(entry.make, size.readers) as readers:
        await readers.deliver(1)  # The first delivery pays for whatever is made only once.
        for mode, messages, times in (("single", 1, size.singles), ("burst", BURST, size.bursts)):
            if entry.measured(mode, size.readers):
                begin = perf_counter()
                for _ in range(times):
                    await readers.deliver(messages)
                seconds = perf_counter() - begin
                rates[mode] = size.readers * messages * times / seconds
    return rates


async def floor(size: Size) -> Rates:
    """Measure the loop itself, where it must switch to each reader for each message."""
    return {"single": (await deliveries.floor(ASYNCIO, size)).single}


async def publishing(make: Callable[[], Peer], size: int, publishes: int) -> float:
    """Return the median microseconds until `publish()` has returned."""
    times: list[int] = []
    async with listening(make, size) as readers:
        await readers.deliver(1)
        publish = readers.publish
        for _ in range(publishes):
            [value] = readers.expect(1)
            begin = perf_counter_ns()
            await publish(value)
            times.append(perf_counter_ns() - begin)
            await readers.received()
    return median(times) / 1000


def plot(tables: Sequence[Table]) -> str:
    """Draw how many times as fast driftline is, for each peer and number of readers."""
    samples = cast(Samples, tables[0].samples)
    panels: dict[str, dict[str, dict[str, list[float]]]] = {}
    for mode, name in deliveries.MODES.items():
        ours = samples[mode][DRIFTLINE]
        panels[name] = {
            peer: {
                f"{int(readers):,} readers": ratios(ours[readers], rates)
                for readers, rates in by_readers.items()
            }
            for peer, by_readers in samples[mode].items()
            if peer not in (DRIFTLINE, BATCHES)
        }
    return drawing.ratios(
        "How many times as many deliveries a second driftline makes as others do, on asyncio",
        panels,
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure all peers that are there."""
    sizes = QUICK if quick else FULL
    with brokers() as servers:
        entries = {**PEERS, **servers}
        samples = measure(track, sizes, entries)
        cost = publish_cost(track, quick, entries)
    return [
        rates_table(sizes, entries, samples),
        ratios_table(sizes, entries, samples),
        cost,
        peers_memory.table(track, quick),
        peers_threads.table(track, quick),
        peers_guarantees.table(track),
    ]


def measure(track: Track, sizes: list[Size], entries: Mapping[str, Entry]) -> Samples:
    """Return the deliveries a second of every peer with every number of readers."""
    samples: Samples = {mode: {} for mode in MODES}
    for size in track(sizes, "peers, deliveries"):
        turns = {
            name: partial(ASYNCIO.run, turn, entry, size)
            for name, entry in entries.items()
            if entry.available and any(entry.measured(mode, size.readers) for mode in MODES)
        }
        turns[FLOOR] = partial(ASYNCIO.run, floor, size)
        for name, rounds in interleave(turns, size.rounds).items():
            for mode in rounds[0]:
                peer = samples[mode].setdefault(name, {})
                peer[str(size.readers)] = [rates[mode] for rates in rounds]
    return samples


def setting_of(name: str, entry: Entry) -> str:
    """Say how a peer is set up."""
    library = f"{installed(entry.distribution)}; " if entry.distribution else ""
    return f"{name}: {library}{entry.setting}"


def left_out(entries: Mapping[str, Entry]) -> str:
    """Say what is not measured, and why."""
    reasons = [f"{name}: {entry.why}" for name, entry in entries.items() if entry.why]
    return f"-: not measured. {'; '.join(reasons)}."


def cells(
    sizes: list[Size],
    entry: Entry,
    values: Mapping[str, list[float]],
    write: Callable[[list[float], str], str],
) -> list[str]:
    """Return one cell for each number of readers."""
    if not entry.available:
        return ["not installed"] * len(sizes)
    readers = [str(size.readers) for size in sizes]
    return [write(values[number], number) if number in values else "-" for number in readers]


def rates_table(sizes: list[Size], entries: Mapping[str, Entry], samples: Samples) -> Table:
    """Return how fast each is, and what it lacks."""
    rows = []
    for mode, published in MODES.items():
        for name, entry in entries.items():
            if entry.measured(mode, sizes[0].readers):
                row = cells(sizes, entry, samples[mode].get(name, {}), rate)
                rows.append([published, name, *row, entry.lacks])
        if FLOOR in samples[mode]:
            floors = [rate(values) for values in samples[mode][FLOOR].values()]
            rows.append([published, FLOOR, *floors, ""])
    return Table(
        "Deliveries a second, beside what one would pick instead: asyncio",
        [
            *(setting_of(name, entry) for name, entry in entries.items()),
            f"{FLOOR}: as many tasks that only `await asyncio.sleep(0)`; callbacks need none.",
            "one: the next message is published when all readers have the last and wait again; "
            f"{BURST}: so many are published in a row.",
            "The publisher is a task on the readers' loop and awaits each publish, "
            "driftline's as well; each reader is one task.",
            left_out(entries),
            f"Median and [lowest-highest] of {sizes[0].rounds} interleaved rounds, "
            f"{sizes[-1].rounds} with {sizes[-1].readers:,} readers.",
        ],
        ["published", "peer", *(f"{size.readers:,} readers" for size in sizes), "it lacks"],
        rows,
        samples,
    )


def rate(rates: list[float], readers: str = "") -> str:
    """Write the deliveries a second."""
    return spread(rates)


def ratio(ours: Mapping[str, list[float]], rates: list[float], readers: str) -> str:
    """Write how many times as fast ours is with so many readers."""
    return spread(ratios(ours[readers], rates), "x")


def ratios_table(sizes: list[Size], entries: Mapping[str, Entry], samples: Samples) -> Table:
    """Return how many times as fast driftline is, round by round."""
    rows = []
    for mode, ours in (("single", DRIFTLINE), ("burst", DRIFTLINE), ("burst", BATCHES)):
        for name, entry in entries.items():
            if name in (DRIFTLINE, BATCHES):
                continue
            write = partial(ratio, samples[mode][ours])
            row = cells(sizes, entry, samples[mode].get(name, {}), write)
            rows.append([ours, MODES[mode], name, *row, entry.lacks])
    return Table(
        "Deliveries a second of driftline, as a ratio to what one would pick instead: asyncio",
        [
            "Of the table above, round by round: median and [lowest-highest]; "
            "below 1 driftline is slower.",
            left_out(entries),
        ],
        ["of", "published", "to", *(f"{size.readers:,} readers" for size in sizes), "it lacks"],
        rows,
    )


def publish_cost(track: Track, quick: bool, entries: Mapping[str, Entry]) -> Table:
    """Measure how long the publisher is held."""
    readers, publishes, rounds = (50, 3, 2) if quick else (MANY, 7, 3)
    shown = {name: entry for name, entry in entries.items() if name != BATCHES}
    turns = {
        name: partial(ASYNCIO.run, publishing, entry.make, readers, publishes)
        for name, entry in shown.items()
        if entry.available
    }
    results: dict[str, list[float]] = {}
    for _ in track(range(1), "peers, publish cost"):
        results = interleave(turns, rounds)

    def row(name: str, entry: Entry) -> list[str]:
        if name not in results:
            return [name, "not installed", "-", entry.lacks]
        to_ours = ratios(results[name], results[DRIFTLINE])
        times = spread(to_ours, "x") if name != DRIFTLINE else ""
        return [name, spread(results[name]), times, entry.lacks]

    return Table(
        f"Microseconds until publish() has returned, {readers:,} waiting readers: asyncio",
        [
            "The publisher is a task on the readers' loop; what is timed ends when the awaited "
            "publish returns, wherever the readers are by then.",
            "broadcaster and litestar hand the message to a task of their own, which then goes "
            "through the readers; Redis answers when it has sent to all; NATS is given it later.",
            "Callbacks have run when it returns.",
            f"Each turn gives the median of {publishes} publishes, each with all readers freshly "
            f"waiting; shown: median and [lowest-highest] of {rounds} interleaved turns.",
        ],
        ["peer", "microseconds", f"to {DRIFTLINE}", "it lacks"],
        [row(name, entry) for name, entry in shown.items()],
        results,
    )
