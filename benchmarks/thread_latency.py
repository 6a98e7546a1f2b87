"""How long until a message published in a thread reaches a reader whose loop is asleep?

The thread waits for the acknowledgement of each message and then a little longer, so that every
message finds the loop asleep in its selector (or the reading thread asleep on its lock). Buses that
only append to a queue look fast under load and forget to wake an idle loop.
"""

import threading
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter_ns, sleep
from typing import Any, NamedTuple

import anyio.to_thread

from .audience import PATIENCE, Miscount
from .contenders import (
    DRIFTLINE,
    AsyncioQueuesFromThread,
    BlockingQueue,
    Contender,
    Driftline,
    TrioChannelsFromThread,
)
from .loops import LOOPS, TRIO, Loop
from .measure import Table, Track, interleave, percentile, ratios, short, spread

PAUSE = 0.001
"""Seconds for the reader to fall asleep again; far longer than it needs."""

THREADSAFE = "loop.call_soon_threadsafe(queue.put_nowait)"
SOON = "trio_token.run_sync_soon(channel.send_nowait)"
BLOCKING = "queue.Queue"


class Latency(NamedTuple):
    """Microseconds from just before the publish until the reader has the message."""

    p50: float
    p99: float
    worst: float


class Stopwatch:
    """Publishes the time and compares it with the time of arrival, one message at a time."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []
        self.delays: list[float] = []
        self.acknowledged = threading.Event()

    def receive(self, sent: int) -> None:
        self.delays.append((perf_counter_ns() - sent) / 1000)
        self.received.append(sent)
        self.acknowledged.set()

    def publish(self, publish: Callable[[int], None], messages: int) -> None:
        for _ in range(messages):
            sleep(PAUSE)
            self.acknowledged.clear()
            now = perf_counter_ns()
            self.sent.append(now)
            publish(now)
            if not self.acknowledged.wait(PATIENCE):
                raise Miscount(f"message {len(self.sent)} was published and did not arrive")

    def latency(self) -> Latency:
        if self.received != self.sent:
            raise Miscount("the messages received are not those published")
        return Latency(median(self.delays), percentile(self.delays, 99), max(self.delays))


async def to_task(loop: Loop, make: Callable[[], Contender[int]], messages: int) -> Latency:
    """Publish from a thread to a task."""
    contender = make()
    watch = Stopwatch()
    async with loop.tasks() as start:
        start(contender.read, watch.receive)
        await anyio.to_thread.run_sync(watch.publish, contender.publish, messages)
    return watch.latency()


def to_thread(make: Callable[[], Any], messages: int) -> Latency:
    """Publish from a thread to another thread."""
    contender = make()
    watch = Stopwatch()
    reader = threading.Thread(
        target=contender.read_blocking, args=(watch.receive, messages), daemon=True
    )
    reader.start()
    watch.publish(contender.publish, messages)
    reader.join()
    return watch.latency()


def turns_on(loop: Loop, messages: int) -> dict[str, Callable[[], Latency]]:
    """Return the contenders on `loop`; the first is what the other is compared with."""
    rivals: dict[str, Callable[[], Contender[int]]] = (
        {SOON: TrioChannelsFromThread} if loop is TRIO else {THREADSAFE: AsyncioQueuesFromThread}
    )
    makers = {**rivals, DRIFTLINE: Driftline}
    return {name: partial(loop.run, to_task, loop, make, messages) for name, make in makers.items()}


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure readers on every loop and in a thread."""
    messages, rounds = (100, 3) if quick else (400, 5)
    readers = {f"task on {loop.name}": turns_on(loop, messages) for loop in LOOPS}
    readers["thread"] = {
        BLOCKING: partial(to_thread, BlockingQueue, messages),
        DRIFTLINE: partial(to_thread, Driftline, messages),
    }
    rows = []
    samples: dict[str, object] = {}
    for reader, turns in track(list(readers.items()), "thread latency"):
        results = interleave(turns, rounds)
        baseline = next(iter(turns))
        for name, latencies in results.items():
            half, most, worst = map(list, zip(*latencies, strict=True))
            samples[f"{reader}, {name}"] = latencies
            rows.append(
                [
                    reader if name == baseline else "",
                    name,
                    spread(half),
                    spread(most),
                    short(max(worst)),
                    spread(ratios(half, [latency.p50 for latency in results[baseline]]), "x"),
                ]
            )
    return [
        Table(
            "Microseconds from a publish in a thread to a reader that sleeps",
            [
                "The publisher is a thread; there is one reader and nothing else on its loop.",
                "All buffers unbounded. The delay begins before the publish and ends in the "
                "reader, once it has the value.",
                f"{rounds} interleaved rounds of {messages} messages; of p50 and p99 the median "
                "and [lowest-highest] round, and the worst message of all.",
            ],
            ["reader", "contender", "p50", "p99", "worst", "p50 to the first"],
            rows,
            samples,
        )
    ]
