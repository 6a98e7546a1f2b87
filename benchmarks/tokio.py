"""What does a delivery cost when nobody has to be woken? The shape of a benchmark of tokio.

`sync_broadcast` of tokio publishes 256 values and then takes them out of 1, 4 and 16 receivers,
without waiting. No task runs meanwhile, so what is timed is the structure alone: one publish, and
so many times one step of a cursor.
"""

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import anyio

from driftline import Topic

from .audience import Miscount
from .contenders import BATCHES, DOCUMENTED, DRIFTLINE, QUEUES, DocumentedList
from .loops import ASYNCIO
from .measure import Table, Track, interleave, ratios, spread

MESSAGES = 256
SIMPLE = "queue.SimpleQueue per client"
FLOOR = "floor: collections.deque per client"

Drain = Callable[[], list[int]]
"""Takes out what one receiver has not taken yet."""


class Channel(NamedTuple):
    """How to publish, and how each receiver takes out what was published."""

    publish: Callable[[int], object]
    drains: list[Drain]


def until_empty(take: Callable[[], int], empty: type[Exception]) -> list[int]:
    """Take one value at a time until there is none."""
    received = []
    try:
        while True:
            received.append(take())
    except empty:
        return received


def one_by_one(receivers: int) -> Channel:
    topic = Topic[int]("benchmark")
    subscriptions = [topic.subscribe() for _ in range(receivers)]
    return Channel(
        topic.publish,
        [partial(until_empty, each.receive_nowait, anyio.WouldBlock) for each in subscriptions],
    )


def in_batches(receivers: int) -> Channel:
    topic = Topic[int]("benchmark")
    return Channel(
        topic.publish, [topic.subscribe().batches().receive_nowait for _ in range(receivers)]
    )


def documented(receivers: int) -> Channel:
    channel = DocumentedList[int]()

    def drain_from(waiter: "asyncio.Future[Any]") -> Drain:
        def drain() -> list[int]:
            nonlocal waiter
            received = []
            while waiter.done():
                value, waiter = waiter.result()
                received.append(value)
            return received

        return drain

    return Channel(channel.publish, [drain_from(channel.stall()) for _ in range(receivers)])


def per_client(
    make: Callable[[], Any], put: str, take: str, empty: type[Exception], receivers: int
) -> Channel:
    """One buffer for each receiver, by the names of its methods."""
    clients = [make() for _ in range(receivers)]
    puts = [getattr(client, put) for client in clients]

    def publish(value: int) -> None:
        for put in puts:
            put(value)

    return Channel(publish, [partial(until_empty, getattr(each, take), empty) for each in clients])


CONTENDERS: dict[str, Callable[[int], Channel]] = {
    QUEUES: partial(per_client, asyncio.Queue, "put_nowait", "get_nowait", asyncio.QueueEmpty),
    SIMPLE: partial(per_client, queue.SimpleQueue, "put", "get_nowait", queue.Empty),
    DOCUMENTED: documented,
    DRIFTLINE: one_by_one,
    BATCHES: in_batches,
    FLOOR: partial(per_client, deque, "append", "popleft", IndexError),
}
"""The first is what the others are compared with."""


class Size(NamedTuple):
    """How many times so many receivers are drained in one turn."""

    receivers: int
    iterations: int


FULL = [Size(1, 40), Size(4, 20), Size(16, 8)]
QUICK = [Size(1, 5), Size(16, 2)]
ROUNDS = 13


async def turn(make: Callable[[int], Channel], size: Size) -> float:
    """Return the microseconds of one iteration: publish all, drain all."""
    publish, drains = make(size.receivers)
    spent = 0.0
    for iteration in range(size.iterations):
        values = list(range(iteration * MESSAGES, (iteration + 1) * MESSAGES))
        begin = perf_counter()
        for value in values:
            publish(value)
        received = [drain() for drain in drains]
        spent += perf_counter() - begin
        wrong = sum(each != values for each in received)
        if wrong:
            raise Miscount(f"{wrong} of {size.receivers} receivers took something else out")
    return spent / size.iterations * 1e6


def rows_of(receivers: int, results: Mapping[str, list[float]]) -> list[list[str]]:
    """Return a row for each contender."""
    return [
        [
            f"{receivers}" if name == QUEUES else "",
            name,
            spread(times),
            spread([time * 1000 / MESSAGES / receivers for time in times]),
            spread(ratios(times, results[QUEUES]), "x"),
        ]
        for name, times in results.items()
    ]


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every number of receivers."""
    rounds = 2 if quick else ROUNDS
    rows = []
    samples: dict[str, object] = {}
    for size in track(QUICK if quick else FULL, "tokio"):
        turns = {name: partial(ASYNCIO.run, turn, make, size) for name, make in CONTENDERS.items()}
        results = interleave(turns, rounds)
        rows += rows_of(size.receivers, results)
        samples |= {f"{name}, {size.receivers}": times for name, times in results.items()}
    return [
        Table(
            f"Microseconds to publish {MESSAGES} values and drain all receivers without waiting",
            [
                f"{DRIFTLINE}: one topic without limits, `receive_nowait()` until `WouldBlock`; "
                f"{BATCHES}: `batches().receive_nowait()` once.",
                f"{QUEUES}: unbounded, `get_nowait()` until `QueueEmpty`; {SIMPLE}: "
                "`get_nowait()` until `Empty`.",
                f"{DOCUMENTED}: `PubSub` of the websockets documentation; it has no such read, so "
                "its futures are followed while they are done.",
                f"{FLOOR}: one `append` and one `popleft` for each delivery.",
                "Each receiver makes a list, which is compared with what was published once the "
                "clock has stopped. No task waits or runs.",
                "tokio's own figures, from its pull request 8357, on another machine (Apple M1 "
                "Pro), in Rust: 16.31, 28.46 and 91.28 microseconds with 1, 4 and 16 receivers, "
                "which is 64, 28 and 22 nanoseconds a delivery.",
                "Each turn is the mean of its iterations; median and [lowest-highest] of "
                f"{rounds} interleaved rounds.",
            ],
            [
                "receivers",
                "contender",
                "us an iteration",
                "ns a delivery",
                f"time to {QUEUES}",
            ],
            rows,
            samples,
        )
    ]
