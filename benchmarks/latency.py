"""How late do a thousand readers get messages, and what do slow ones among them change?

Messages are published at a fixed rate, whatever became of those before. Each delivery is as late as
it comes after its message was due, so that a stall counts for all that it delays, and not only for
the one message that was under way. The rate is one that every contender can keep.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain
from time import perf_counter, process_time
from typing import NamedTuple, cast

import anyio

from . import drawing
from .audience import PATIENCE, Miscount
from .contenders import (
    CHANNELS,
    DOCUMENTED,
    DRIFTLINE,
    QUEUES,
    STREAMS,
    AnyioStreams,
    AsyncioQueues,
    DocumentedList,
    Driftline,
    Listenable,
    TrioChannels,
    settings_of,
)
from .loops import LOOPS, TRIO, Loop
from .measure import Table, Track, interleave, percentile, ratios, short, spread

RATE = 10
"""Messages a second."""
PAUSE = 0.15
"""Seconds that a slow reader waits after each message, which is more than it has."""
PERCENTS = [50, 90, 99, 99.9]
QUANTILES = 200
ALL_READ = "all read"
SOME_SLOW = "one in ten is slow"
SLOW = {ALL_READ: 0, SOME_SLOW: 10}
"""Every so many readers one is slow."""


class Size(NamedTuple):
    """How many readers get how many messages in one turn."""

    readers: int
    messages: int
    rounds: int


FULL = Size(1000, 10, 3)
QUICK = Size(20, 2, 1)


class Reader:
    """Notes what it receives, and how many milliseconds late."""

    def __init__(self, slow: bool) -> None:
        self.slow = slow
        self.received: list[float] = []
        self.late: list[float] = []

    def receive(self, due: float) -> None:
        self.late.append((perf_counter() - due) * 1000)
        self.received.append(due)

    async def read_slowly(self, contender: Listenable[float]) -> None:
        async with aclosing(contender.listen()) as values:
            async for due in values:
                self.receive(due)
                await anyio.sleep(PAUSE)


class Readers:
    """All readers of one contender, some of them slow."""

    def __init__(self, size: int, slow: int) -> None:
        self.all = [Reader(slow > 0 and number % slow == 0) for number in range(size)]
        self.slow = [each for each in self.all if each.slow]
        self.others = [each for each in self.all if not each.slow]
        self.dues: list[float] = []

    async def received(self) -> None:
        """Wait until all that are not slow have everything, or nothing more comes."""
        before, since = -1, 0.0
        while (now := sum(len(each.received) for each in self.others)) < (
            len(self.dues) * len(self.others)
        ):
            if now != before:
                before, since = now, perf_counter()
            elif perf_counter() - since > PATIENCE:
                return
            await anyio.sleep(0.01)

    def verify(self) -> None:
        """Raise `Miscount` unless each has every message, in order; of slow ones, the first."""
        wrong = sum(each.received != self.dues for each in self.others)
        wrong += sum(each.received != self.dues[: len(each.received) or 1] for each in self.slow)
        if wrong:
            raise Miscount(
                f"{wrong} of {len(self.all)} readers did not receive exactly the "
                f"{len(self.dues)} messages published"
            )


class Turn(NamedTuple):
    """What one contender did, in milliseconds from when messages were due."""

    late: list[float]
    """Of all deliveries to readers that are not slow."""
    published: list[float]
    load: float
    """How much of the time it took was processor time, in percent."""


async def turn(loop: Loop, make: Callable[[], Listenable[float]], size: Size, slow: int) -> Turn:
    """Measure one contender, alone on its loop."""
    contender = make()
    readers = Readers(size.readers, slow)
    published = []
    async with loop.tasks() as start:
        for reader in readers.all:
            if reader.slow:
                start(reader.read_slowly, contender)
            else:
                start(contender.read, reader.receive)
        await loop.settle()
        begin, used = perf_counter(), process_time()
        for number in range(size.messages + 1):
            due = begin + number / RATE
            while (wait := due - perf_counter()) > 0:  # noqa: ASYNC110 (uvloop may be early)
                await anyio.sleep(wait)
            published.append((perf_counter() - due) * 1000)
            readers.dues.append(due)
            contender.publish(due)
            # A timer of uvloop is late by as much as others work in the turn that starts it.
            await loop.settle()
        await readers.received()
        load = (process_time() - used) / (perf_counter() - begin) * 100
        readers.verify()
    # The first message pays for whatever is made only once.
    late = list(chain.from_iterable(reader.late[1:] for reader in readers.others))
    return Turn(late, published[1:], load)


def contenders_on(loop: Loop) -> dict[str, Callable[[], Listenable[float]]]:
    """Return the contenders on `loop`; the first is what the others are compared with."""
    if loop is TRIO:
        return {CHANNELS: TrioChannels, STREAMS: AnyioStreams, DRIFTLINE: Driftline}
    return {
        QUEUES: AsyncioQueues,
        STREAMS: AnyioStreams,
        DOCUMENTED: DocumentedList,
        DRIFTLINE: Driftline,
    }


def quantiles(turns: list[Turn]) -> list[tuple[float, float]]:
    """Return percents, ever closer to 100, each with the milliseconds that so many do not exceed.

    Spaced evenly towards the worst of all, so that about half are in the last hundredth, because
    that is what a plot of percentiles shows.
    """
    late = sorted(chain.from_iterable(turn.late for turn in turns))
    found = []
    for number in range(QUANTILES):
        share = 1 - len(late) ** (-number / (QUANTILES - 1))
        found.append((share * 100, late[min(len(late) - 1, int(len(late) * share))]))
    return found


def lines(loop: Loop, results: Mapping[tuple[str, str], list[Turn]]) -> dict[str, list[list[str]]]:
    """Return the rows of `loop`, with all readers reading and with some slow."""
    rows: dict[str, list[list[str]]] = {ALL_READ: [], SOME_SLOW: []}
    baseline = next(iter(contenders_on(loop)))
    at = {
        key: {percent: [percentile(turn.late, percent) for turn in turns] for percent in PERCENTS}
        for key, turns in results.items()
    }
    for (readers, name), turns in results.items():
        compared = (ALL_READ, baseline if readers == ALL_READ else name)
        rows[readers].append(
            [
                loop.name if name == baseline else "",
                name,
                *(spread(at[readers, name][percent]) for percent in PERCENTS),
                short(max(max(turn.late) for turn in turns)),
                spread([percentile(turn.published, 50) for turn in turns]),
                spread([turn.load for turn in turns], "%"),
                *(
                    spread(ratios(at[readers, name][percent], at[compared][percent]), "x")
                    for percent in (50, 99)
                ),
            ]
        )
    return rows


def plot(tables: Sequence[Table]) -> str:
    """Draw how late deliveries were, by percentile, when all readers read."""
    samples = cast(Mapping[str, list[tuple[float, float]]], tables[0].samples)
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for name in sorted(samples, key=lambda name: not name.endswith(f", {DRIFTLINE}")):
        loop, contender = name.split(", ", 1)
        panels.setdefault(loop, {})[contender] = {
            tail(percent): [late] for percent, late in samples[name]
        }
    return drawing.lines(
        "Milliseconds from when a message was due until a reader has it, by percentile",
        {loop.name: panels[loop.name] for loop in LOOPS},
        "percent of all deliveries",
        "milliseconds",
        ticks={tail(percent): f"{percent:g}" for percent in (0, *PERCENTS)},
    )


def tail(percent: float) -> float:
    """Return where on a logarithmic axis a percentile stands: one in how many is later."""
    return 100 / (100 - percent)


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure on every loop."""
    size = QUICK if quick else FULL
    rows: dict[str, list[list[str]]] = {ALL_READ: [], SOME_SLOW: []}
    samples: dict[str, dict[str, object]] = {ALL_READ: {}, SOME_SLOW: {}}
    for loop in track(LOOPS, "latency"):
        turns = {
            (readers, name): partial(loop.run, turn, loop, make, size, slow)
            for name, make in contenders_on(loop).items()
            for readers, slow in SLOW.items()
        }
        results = interleave(turns, size.rounds)
        for readers, added in lines(loop, results).items():
            rows[readers] += added
        for (readers, name), found in results.items():
            samples[readers][f"{loop.name}, {name}"] = quantiles(found)
    settings = [
        *settings_of([QUEUES, STREAMS, CHANNELS, DOCUMENTED, DRIFTLINE]),
        f"{RATE} messages a second, published when they are due by a task on the readers' loop; "
        "each reader is one task. A delivery is as late as it comes after its message was due.",
        "published: p50 of how late messages were published, which is what the loop's timer costs "
        "and the floor of all others. load: processor time by elapsed time.",
        f"{size.messages} messages a round, after one that is not counted. Of percentiles the "
        f"median and [lowest-highest] of {size.rounds} interleaved rounds, and the worst delivery "
        "of all.",
    ]
    columns = ["loop", "contender", *(f"p{percent}" for percent in PERCENTS), "worst"]
    return [
        Table(
            f"Milliseconds from when a message was due until {size.readers:,} readers have it",
            settings,
            [*columns, "published", "load", "p50 to the first", "p99 to the first"],
            rows[ALL_READ],
            samples[ALL_READ],
        ),
        Table(
            f"The same to {size.readers - size.readers // SLOW[SOME_SLOW]:,} readers, beside "
            f"{size.readers // SLOW[SOME_SLOW]:,} slow ones",
            [
                f"One reader in ten waits {PAUSE * 1000:.0f} ms after each message, so that it "
                f"cannot take {RATE} a second and falls behind. Only the others are shown.",
                "Ratios are to the same contender when all read, in the same rounds.",
                *settings,
            ],
            [*columns, "published", "load", "p50 to all read", "p99 to all read"],
            rows[SOME_SLOW],
            samples[SOME_SLOW],
        ),
    ]
