"""How do threads hand messages to threads? The shapes of two benchmarks of the LMAX Disruptor.

One multicasts: one thread publishes, and three others take every message, each with an operation of
its own, whose result is verified. The other hands each message on, from thread to thread, three
times. Here messages are published at a fixed rate far from what anybody can do, and what counts is
how late each is from when it was due, so that one which is held up makes those behind it late too.
"""

import operator
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from itertools import chain
from statistics import fmean
from time import perf_counter, perf_counter_ns, process_time, sleep
from typing import Any, NamedTuple, Protocol

from driftline import Topic

from .audience import PATIENCE, Miscount
from .contenders import BATCHES, DRIFTLINE
from .measure import Table, Track, interleave, percentile, present, ratios, short, spread

BLOCKING = "queue.Queue per consumer"
SIMPLE = "queue.SimpleQueue per consumer"
CULSANS = "culsans.Queue per consumer"
FLOOR = "floor: nothing is handed over"

OPERATIONS: list[Callable[[int, int], int]] = [operator.add, operator.sub, operator.xor]
"""The Disruptor's, but for the third: its `and` is 0 whatever is lost."""
STAGES = "ABCD"


class Channel(Protocol):
    """A way from one thread to others."""

    def publish(self, value: int, /) -> object:
        """Hand `value` to every consumer."""

    def subscribe(self) -> Iterator[int]:
        """Return what one consumer takes messages from, blocking its thread, until the end."""

    def close(self) -> None:
        """End what the consumers iterate over, behind the last message."""


class Topics:
    """One topic, and one subscription for each consumer."""

    def __init__(self) -> None:
        self.topic = Topic[int]("benchmark")
        self.publish = self.topic.publish
        self.close = self.topic.close

    def subscribe(self) -> Iterator[int]:
        return self.topic.subscribe()


class Batches(Topics):
    """The same, with consumers that take all that is ready at once."""

    def subscribe(self) -> Iterator[int]:
        return chain.from_iterable(self.topic.subscribe().batches())


class Queues:
    """One queue for each consumer; None is the end."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.clients: list[Any] = []

    def publish(self, value: int | None) -> None:
        for client in self.clients:
            client.put(value)

    def subscribe(self) -> Iterator[int]:
        client = self.make()
        self.clients.append(client)
        return iter(client.get, None)

    def close(self) -> None:
        self.publish(None)


def culsans_queue() -> Any:
    import culsans

    return culsans.Queue[int | None]().sync_q


QUEUES: dict[str, Callable[[], Channel]] = {
    BLOCKING: partial(Queues, queue.Queue),
    SIMPLE: partial(Queues, queue.SimpleQueue),
    **({CULSANS: partial(Queues, culsans_queue)} if present("culsans") else {}),
}
ONE_BY_ONE: dict[str, Callable[[], Channel]] = {**QUEUES, DRIFTLINE: Topics}
CONTENDERS: dict[str, Callable[[], Channel]] = {**ONE_BY_ONE, BATCHES: Batches}
"""The first is what the others are compared with."""


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait until threads end, but not for ever for one that waits and gets nothing."""
    for thread in threads:
        while thread.is_alive():
            worked = process_time()
            thread.join(PATIENCE)
            if thread.is_alive() and process_time() - worked < PATIENCE / 100:
                raise Miscount(f"{thread.name} waits for messages that do not come")


# One producer, three consumers.


def values_of(messages: int) -> range:
    """Return what is published: no zero, which no operation would miss."""
    return range(1, messages + 1)


class Consumer(threading.Thread):
    """Combines all values."""

    def __init__(self, operation: Callable[[int, int], int], values: Iterable[int]) -> None:
        super().__init__(name=operation.__name__, daemon=True)
        self.operation = operation
        self.values = values
        self.result = 0

    def run(self) -> None:
        self.result = reduce(self.operation, self.values, 0)

    def verify(self, messages: int) -> None:
        """Raise `Miscount` unless each value was there, once."""
        expected = reduce(self.operation, values_of(messages), 0)
        if self.result != expected:
            raise Miscount(f"{self.name} of {messages} messages is {self.result}, not {expected}")


def multicast(make: Callable[[], Channel], messages: int) -> float:
    """Return the messages a second that one thread brings to three."""
    channel = make()
    consumers = [Consumer(operation, channel.subscribe()) for operation in OPERATIONS]
    for consumer in consumers:
        consumer.start()
    publish = channel.publish
    begin = perf_counter()
    for value in values_of(messages):
        publish(value)
    channel.close()
    join(consumers)
    end = perf_counter()
    for consumer in consumers:
        consumer.verify(messages)
    return messages / (end - begin)


def floor(messages: int) -> float:
    """The same operations in as many threads, which have the values already."""
    consumers = [Consumer(operation, values_of(messages)) for operation in OPERATIONS]
    begin = perf_counter()
    for consumer in consumers:
        consumer.start()
    for _ in range(messages):
        pass
    join(consumers)
    end = perf_counter()
    for consumer in consumers:
        consumer.verify(messages)
    return messages / (end - begin)


def multicast_table(messages: int, rounds: int) -> Table:
    """Measure how much one thread can bring to three."""
    turns: dict[str, Callable[[], float]] = {
        name: partial(multicast, make, messages) for name, make in CONTENDERS.items()
    }
    turns[FLOOR] = partial(floor, messages)
    results = interleave(turns, rounds)
    return Table(
        "Messages a second from one thread to three",
        [
            "Each of the three takes all messages, and adds, subtracts or xors them; the three "
            "results are compared with what they must be. Their order is not looked at here.",
            f"{DRIFTLINE}: one topic without limits, `for value in subscription`; {BATCHES}: "
            "`for batch in subscription.batches()`, then each message.",
            f"{BLOCKING}, {SIMPLE}, {CULSANS} (its `sync_q`): unbounded, `put` in a loop over a "
            "list, `get` until None.",
            f"{FLOOR}: the three threads go through numbers that they have, beside a thread that "
            "counts.",
            f"{messages:,} messages, from the first publish until the last thread has ended; "
            f"median and [lowest-highest] of {rounds} interleaved rounds.",
            "The Disruptor's own figures, on another machine (EPYC 9374F), in Java, with a ring of "
            "8,192 places and threads that never sleep: 70.0 million messages a second, and 2.36 "
            "million with `ArrayBlockingQueue`. Under CPython's lock one thread at a "
            "time runs Python.",
        ],
        ["contender", "messages a second", f"to {BLOCKING}"],
        [
            [name, spread(rates), spread(ratios(rates, results[BLOCKING]), "x")]
            for name, rates in results.items()
        ],
        results,
    )


# Three hops.


class Stage(threading.Thread):
    """Notes when each message comes, and hands it on."""

    def __init__(self, values: Iterator[int], onward: Channel | None) -> None:
        super().__init__(daemon=True)
        self.values = values
        self.onward = onward
        self.received: list[int] = []
        self.times: list[int] = []

    def run(self) -> None:
        for due in self.values:
            self.times.append(perf_counter_ns())
            self.received.append(due)
            if self.onward is not None:
                self.onward.publish(due)
        if self.onward is not None:
            self.onward.close()


def when_due(rate: int, messages: int) -> Iterator[int]:
    """Yield, when it is time, the time at which each message is due; at once, if that is over."""
    begin = perf_counter_ns() + 10_000_000
    for number in range(messages):
        due = begin + number * 1_000_000_000 // rate
        wait = due - perf_counter_ns()
        if wait > 0:
            sleep(wait / 1e9)
        yield due


class Lateness(NamedTuple):
    """Microseconds from when messages were due."""

    mean: float
    p50: float
    p99: float
    p999: float
    worst: float


def lateness(dues: list[int], times: list[int]) -> Lateness:
    """Sum up how late messages were somewhere."""
    late = [(time - due) / 1000 for due, time in zip(dues, times, strict=True)]
    half, most, nearly_all = (percentile(late, percent) for percent in (50, 99, 99.9))
    return Lateness(fmean(late), half, most, nearly_all, max(late))


def relay(make: Callable[[], Channel], rate: int, messages: int) -> dict[str, Lateness]:
    """Return how late messages left the first thread, and reached each of the others."""
    channels = [make() for _ in STAGES[1:]]
    first, *onward = channels
    stages = [
        Stage(channel.subscribe(), following)
        for channel, following in zip(channels, [*onward, None], strict=True)
    ]
    for name, stage in zip(STAGES[1:], stages, strict=True):
        stage.name = f"thread {name}"
        stage.start()
    dues: list[int] = []
    left: list[int] = []
    for due in when_due(rate, messages):
        left.append(perf_counter_ns())
        first.publish(due)
        dues.append(due)
    first.close()
    join(stages)
    for stage in stages:
        if stage.received != dues:
            raise Miscount(
                f"{stage.name} received {len(stage.received)} messages, not exactly the "
                f"{messages} published"
            )
    times = [left, *(stage.times for stage in stages)]
    return {name: lateness(dues, each) for name, each in zip(STAGES, times, strict=True)}


def hop(found: dict[str, Lateness]) -> float:
    """Return the mean of one hop of three."""
    return (found[STAGES[-1]].mean - found[STAGES[0]].mean) / (len(STAGES) - 1)


def latency_rows(results: dict[str, list[dict[str, Lateness]]]) -> Iterator[list[str]]:
    """Return a row for each thread of each contender."""
    baseline = [hop(found) for found in results[BLOCKING]]
    for contender, rounds in results.items():
        hops = [hop(found) for found in rounds]
        for stage in STAGES:
            *most, worst = map(list, zip(*(found[stage] for found in rounds), strict=True))
            last = stage == STAGES[-1]
            yield [
                contender if stage == STAGES[0] else "",
                stage,
                *map(spread, most),
                short(max(worst)),
                spread(hops) if last else "",
                spread(ratios(hops, baseline), "x") if last else "",
            ]


def latency_table(rate: int, messages: int, rounds: int) -> Table:
    """Measure how late messages are after each of three hops."""
    turns = {name: partial(relay, make, rate, messages) for name, make in ONE_BY_ONE.items()}
    results = interleave(turns, rounds)
    return Table(
        f"Microseconds from when a message was due, over three hops, at {rate:,} a second",
        [
            "Thread A sleeps until a message is due and publishes it; B and C hand it on, each by "
            "a topic or queues of its own, and D takes it. At A: when it is published, which is "
            "what the timer costs; at B, C and D: when the thread has it.",
            "Whatever delays a message counts for all that were due meanwhile.",
            "a hop: a third of the mean way from A to D.",
            f"{DRIFTLINE}: `for value in subscription`; the queues as above. {SIMPLE}, which is a "
            "lock and a list in C, is the floor.",
            f"{messages:,} messages a round. Of mean and percentiles the median and "
            f"[lowest-highest] of {rounds} interleaved rounds, and the worst message of all.",
            "The Disruptor's own figures, on another machine (i7-2720QM), in Java, one message "
            "each microsecond, threads that never sleep: 0.052 microseconds a hop, and 32.8 with "
            "`ArrayBlockingQueue`.",
        ],
        [
            "contender",
            "thread",
            *("mean", "p50", "p99", "p99.9", "worst"),
            "a hop",
            f"a hop to {BLOCKING}",
        ],
        list(latency_rows(results)),
        results,
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure both."""
    both = [
        partial(multicast_table, *((2_000, 2) if quick else (50_000, 5))),
        partial(latency_table, 1000, *((100, 2) if quick else (3_000, 3))),
    ]
    return [measure() for measure in track(both, "disruptor")]
