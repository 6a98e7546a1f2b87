"""What does one reader that has stalled cost, in memory and to those who keep up?

Two questions, and two measurements, because ten million messages to a thousand readers would take
an hour. Memory does not depend on how many keep up, so it is measured with few of them and all the
messages; their rate is measured with all of them and fewer messages, when the stalled reader has
long been cut off.
"""

import gc
import json
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from sys import getrefcount
from time import process_time
from typing import Any, NamedTuple

from driftline import Subscription

from .audience import Miscount, audience, check_counts
from .contenders import Driftline
from .loops import ASYNCIO, LOOPS, Loop
from .measure import Table, Track, in_fresh_process, interleave, ratios, spread

LIMIT = 10_000
READERS = 999
KEEPING_UP = 3
BURST = 100
PAYLOAD = 128
WITHOUT = "none"
WITH = "one"


class Limited(Driftline[Any]):
    """A topic with a limit, and a reader that may stall on it."""

    def __init__(self, limit: int | None = LIMIT, stalls: bool = True) -> None:
        super().__init__()
        self.topic.limit = limit
        self.stalled: Subscription[Any] | None = None
        if stalls:
            self.stalled = self.topic.subscribe(on_lag="skip")

    def verify(self) -> None:
        """Read the stalled reader to the end, and count what it received and missed."""
        if self.stalled is not None:
            check_counts(self.stalled, sum(1 for _ in self.pending(self.stalled)))
            if self.stalled.lag or not self.stalled.missed:
                raise Miscount(f"{self.stalled.lag} messages are left, or none was missed")


# Memory.


@asynccontextmanager
async def few(contender: Limited) -> AsyncIterator[list[int]]:
    """Start those who keep up. They count what they receive, and do not keep it."""
    counts = [0] * KEEPING_UP

    async def read(number: int) -> None:
        async for batch in contender.topic.subscribe().batches():
            counts[number] += len(batch)
            del batch  # which would count as pending

    async with ASYNCIO.tasks() as start:
        for number in range(KEEPING_UP):
            start(read, number)
        await ASYNCIO.settle()
        yield counts


async def caught_up(contender: Limited, counts: list[int]) -> None:
    while min(counts) < contender.topic.published:
        await ASYNCIO.checkpoint()


async def count_pending(messages: int) -> int:
    """Return how many messages were pending at most.

    All messages are one object, so what refers to it is what is pending, at any moment.
    """
    contender = Limited()
    publish = contender.publish
    payload = object()
    peak = 0
    async with few(contender) as counts:
        own = getrefcount(payload)
        for _ in range(messages // BURST):
            for _ in range(BURST):
                publish(payload)
                pending = getrefcount(payload) - own
                if pending > peak:
                    peak = pending
            await caught_up(contender, counts)
    if counts != [messages] * KEEPING_UP or peak < LIMIT:
        raise Miscount(f"of {messages} messages were received {counts}, and pending {peak}")
    contender.verify()
    return peak


async def trace_pending(messages: int, limit: int | None) -> int:
    """Return how many bytes all pending messages took at most, each with a payload of its own."""
    contender = Limited(limit)
    publish = contender.publish
    async with few(contender) as counts:
        publish(bytes(PAYLOAD))
        await caught_up(contender, counts)
        gc.collect()
        tracemalloc.start()
        for begin in range(0, messages, BURST):
            for _ in range(min(BURST, messages - begin)):
                publish(bytes(PAYLOAD))
            await caught_up(contender, counts)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if limit is not None:
        contender.verify()
    return peak


def pending(measure: str, *arguments: int | None) -> int:
    """Measure in a fresh process."""
    return int(in_fresh_process(__name__, measure, json.dumps(arguments)))


# Rates.


class Rates(NamedTuple):
    """Deliveries a second of processor time to those who keep up."""

    single: float
    burst: float


async def rates(loop: Loop, readers: int, singles: int, bursts: int, stalls: bool) -> Rates:
    """Measure those who keep up, beside a reader that was cut off already or beside none."""
    contender = Limited(stalls=stalls)
    contender.topic.publish_many([None] * 2 * LIMIT)
    async with audience(loop, contender, readers) as keeping_up:
        await keeping_up.deliver(BURST)
        begin = process_time()
        for _ in range(singles):
            await keeping_up.deliver(1)
        middle = process_time()
        for _ in range(bursts):
            await keeping_up.deliver(BURST)
        end = process_time()
    contender.verify()
    return Rates(
        readers * singles / (middle - begin),
        readers * bursts * BURST / (end - middle),
    )


def memory(track: Track, messages: int, traced: int) -> Table:
    """Measure what is pending because of one stalled reader."""
    turns = {
        "counted": partial(pending, "count_pending", messages),
        "traced": partial(pending, "trace_pending", traced, LIMIT),
        "without": partial(pending, "trace_pending", LIMIT, None),
    }
    values = {name: turns[name]() for name in track(list(turns), "stalled, memory")}
    rows = [
        ["messages", f"{messages:,}", f"{values['counted']:,}", f"{LIMIT:,}"],
        ["bytes", f"{traced:,}", f"{values['traced']:,}", f"{values['without']:,}"],
    ]
    for row, share in zip(
        rows, (values["counted"] / LIMIT, values["traced"] / values["without"]), strict=True
    ):
        row.append(f"{share:.3f}x")
    return Table(
        f"Most that was pending with one stalled reader and limit={LIMIT:_}",
        [
            f"One reader subscribes and never reads; {KEEPING_UP} keep up, in batches, on asyncio. "
            f"Published one by one, {BURST} between two turns of the loop.",
            "messages: all are the same object, whose references are counted after each publish; "
            f"beside it {LIMIT:,}.",
            f"bytes: by tracemalloc, each message with {PAYLOAD} bytes of its own; beside it "
            f"{LIMIT:,} messages without a limit. Fewer messages, because tracing is slow.",
            "At the end the stalled reader reads: what it receives and is told to have missed is "
            "all that was published. Each number is one fresh process.",
        ],
        ["measure", "published", "pending at most", f"{LIMIT:,} messages", "ratio"],
        rows,
        {name: [value] for name, value in values.items()},
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure memory on asyncio and rates on every loop."""
    readers, singles, bursts, rounds = (50, 10, 2, 2) if quick else (READERS, 20, 2, 7)
    found = [memory(track, *((100_000, 30_000) if quick else (10_000_000, 300_000)))]
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    for loop in track(LOOPS, "stalled, rates"):
        arguments = (rates, loop, readers, singles, bursts)
        turns = {
            WITHOUT: partial(loop.run, *arguments, False),
            WITH: partial(loop.run, *arguments, True),
        }
        results = interleave(turns, rounds)
        for name, values in results.items():
            samples[f"{loop.name}, {name}"] = values
            row = [loop.name if name == WITHOUT else "", name]
            for mode in range(len(Rates._fields)):
                each = [value[mode] for value in values]
                base = [value[mode] for value in results[WITHOUT]]
                row += [spread(each), spread(ratios(each, base), "x")]
            rows.append(row)
    found.append(
        Table(
            f"Deliveries a second to {readers:,} readers that keep up, limit={LIMIT:_}",
            [
                f"none: they are alone. one: another one has not read since {2 * LIMIT:,} messages "
                "before they came, and is cut off further all the time.",
                "single: one publish per wake-up; burst: "
                f"{BURST} in a row. Each reader is one task on the publisher's loop, and keeps a "
                "list, which is compared with what was published.",
                "Seconds are of processor time, so that what else the machine does hardly counts.",
                f"Each turn is {singles} singles and {bursts} bursts; median and [lowest-highest] "
                f"of {rounds} interleaved rounds.",
            ],
            ["loop", "stalled", "single", "single: ratio", "burst", "burst: ratio"],
            rows,
            samples,
        )
    )
    return found


if __name__ == "__main__":
    measure, arguments = sys.argv[1:]
    measures: dict[str, Callable[..., Awaitable[int]]] = {
        "count_pending": count_pending,
        "trace_pending": trace_pending,
    }
    print(ASYNCIO.run(measures[measure], *json.loads(arguments)))
