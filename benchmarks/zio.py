"""How long do 1,024 subscribers take for 1,024 messages? The shapes of the benchmark of ZIO's hub.

`HubBenchmarks` of ZIO has one publisher and 1,024 subscribers, who take one message at a time, in
three shapes: with back pressure, where at most two messages wait for anybody; in parallel, where
there is room for all and they are taken while others are published; and in sequence, where all are
published before the first is taken. Like there, the rivals of the hub are buffers of the same
capacity, one for each subscriber.

A fourth shape is not ZIO's: back pressure with one subscriber, where what waiting for room costs by
itself is not hidden by what a thousand wake-ups cost.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from .audience import Audience, audience
from .contenders import (
    CHANNELS,
    DOCUMENTED,
    DRIFTLINE,
    QUEUES,
    STREAMS,
    AnyioStreams,
    AsyncioQueues,
    Contender,
    DocumentedList,
    Driftline,
    TrioChannels,
)
from .loops import LOOPS, TRIO, Loop
from .measure import Table, Track, interleave, ratios, spread


class Waiting(Contender[int], Protocol):
    """A contender whose publisher can wait for room."""

    async def send(self, value: int, /) -> None:
        """Hand `value` to every reader, as soon as each has room for it."""


class Topics(Driftline[int]):
    """One topic with a limit."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.topic.limit = capacity
        self.send = self.topic.send


class Queues(AsyncioQueues[int]):
    """Bounded queues, filled one after the other."""

    async def send(self, value: int) -> None:
        for client in self.clients:
            await client.put(value)


class Streams(AnyioStreams[int]):
    """Bounded streams, filled one after the other."""

    async def send(self, value: int) -> None:
        for client in self.clients:
            await client.send(value)


class Channels(TrioChannels[int]):
    """Bounded channels, filled one after the other."""

    async def send(self, value: int) -> None:
        for client in self.clients:
            await client.send(value)


async def with_back_pressure(readers: Audience, contender: Waiting, messages: int) -> None:
    for value in readers.expect(messages):
        await contender.send(value)
    await readers.received()


async def in_parallel(readers: Audience, contender: Contender[int], messages: int) -> None:
    for value in readers.expect(messages):
        contender.publish(value)
        await readers.checkpoint()
    await readers.received()


async def in_sequence(readers: Audience, contender: Contender[int], messages: int) -> None:
    await readers.deliver(messages)


Deliver = Callable[[Audience, Any, int], Awaitable[None]]


class Shape(NamedTuple):
    """How much is published in one turn, how, to how many, and how much has room."""

    name: str
    deliver: Deliver
    subscribers: int
    messages: int
    capacity: int


FULL = [
    Shape("back pressure", with_back_pressure, 1024, 32, 2),
    Shape("parallel", in_parallel, 1024, 64, 1024),
    Shape("sequential", in_sequence, 1024, 256, 1024),
    Shape("back pressure, 1 subscriber", with_back_pressure, 1, 2000, 2),
]
QUICK = [
    Shape("back pressure", with_back_pressure, 16, 10, 2),
    Shape("parallel", in_parallel, 16, 10, 10),
    Shape("sequential", in_sequence, 16, 10, 10),
    Shape("back pressure, 1 subscriber", with_back_pressure, 1, 10, 2),
]
MEANING: dict[Deliver, str] = {
    with_back_pressure: "the publisher waits for room",
    in_parallel: "the publisher lets all others run after each, and there is always room",
    in_sequence: "all are published before the publisher lets anybody run",
}


def contenders_on(loop: Loop, shape: Shape) -> dict[str, Callable[[], Contender[int]]]:
    """Return those that have this shape on `loop`; the first is what others are compared with."""
    streams = {STREAMS: partial(Streams, shape.capacity)}
    topics = {DRIFTLINE: partial(Topics, shape.capacity)}
    if loop is TRIO:
        return {CHANNELS: partial(Channels, shape.capacity), **streams, **topics}
    unbounded = {} if shape.deliver is with_back_pressure else {DOCUMENTED: DocumentedList[int]}
    return {QUEUES: partial(Queues, shape.capacity), **streams, **unbounded, **topics}


async def turn(loop: Loop, make: Callable[[], Contender[int]], shape: Shape) -> float:
    """Return the deliveries a second, from the first publish until all have everything."""
    contender = make()
    async with audience(loop, contender, shape.subscribers) as readers:
        begin = perf_counter()
        await shape.deliver(readers, contender, shape.messages)
        end = perf_counter()
    return shape.subscribers * shape.messages / (end - begin)


def rows_of(shape: Shape, results: Mapping[str, list[float]]) -> list[list[str]]:
    """Return a row for each contender; the first is what the others are compared with."""
    baseline = next(iter(results))
    return [
        [
            shape.name if name == baseline else "",
            name,
            spread(rates),
            spread(ratios(rates, results[baseline]), "x"),
        ]
        for name, rates in results.items()
    ]


def settings_on(loop: Loop, shapes: list[Shape], rounds: int) -> list[str]:
    """Say what each shape is, and how each contender has it."""
    buffers = (
        f"{CHANNELS} and {STREAMS}: `send` and `send_nowait`"
        if loop is TRIO
        else f"{QUEUES}: `put` and `put_nowait`; {STREAMS}: `send` and `send_nowait`"
    )
    return [
        *(
            f"{shape.name}: subscribers {shape.subscribers:,}, messages {shape.messages:,}, "
            f"capacity {shape.capacity:,}; {MEANING[shape.deliver]}."
            for shape in shapes
        ),
        "Each subscriber is one task that takes one message at a time; the publisher is a task on "
        "their loop. From the first publish until the last has everything.",
        f"{DRIFTLINE}: one topic whose `limit` is the capacity, `await topic.send()` for back "
        "pressure and `topic.publish()` otherwise, `async for`.",
        f"{buffers}, in a loop over a list of clients of that capacity.",
        *(
            []
            if loop is TRIO
            else [f"{DOCUMENTED}: `PubSub` of the websockets documentation; it has no limit."]
        ),
        "There is no floor: a task that has fallen behind takes several messages in one step.",
        "ZIO's benchmark has 1,024 messages in each of the first three shapes, and publishes no "
        "figures. Here there are fewer, for the time that the slowest contenders take; what is "
        "shown is a rate.",
        f"Median and [lowest-highest] of {rounds} interleaved rounds.",
    ]


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every shape on every loop."""
    shapes, rounds = (QUICK, 2) if quick else (FULL, 3)
    rows: dict[Loop, list[list[str]]] = {loop: [] for loop in LOOPS}
    samples: dict[Loop, dict[str, object]] = {loop: {} for loop in LOOPS}
    for loop, shape in track(list(product(LOOPS, shapes)), "zio"):
        turns = {
            name: partial(loop.run, turn, loop, make, shape)
            for name, make in contenders_on(loop, shape).items()
        }
        results = interleave(turns, rounds)
        rows[loop] += rows_of(shape, results)
        samples[loop] |= {f"{shape.name}, {name}": rates for name, rates in results.items()}
    return [
        Table(
            f"Deliveries a second in the shapes of the benchmark of ZIO's hub: {loop.name}",
            settings_on(loop, shapes, rounds),
            [
                "shape",
                "contender",
                "deliveries a second",
                f"to {next(iter(contenders_on(loop, shapes[0])))}",
            ],
            rows[loop],
            samples[loop],
        )
        for loop in LOOPS
    ]
