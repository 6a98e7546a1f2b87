"""What does one `publish()` cost the publisher, and does it grow with the number of readers?

Only the call is timed, one at a time, each with all readers freshly waiting. For the rivals the
call is the whole loop over their clients.

A thousand readers that have just run leave nothing of the publisher in the processor's caches, so
after them any code is slower, even a publish that nobody waits for. To tell this apart from work
that grows with the readers, each contender has a twin without readers, and every other time the
twin's publish is timed, at the same moment and under the same conditions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple, cast

from . import drawing
from .audience import audience
from .contenders import DRIFTLINE, Contender, contenders_on, settings_of
from .loops import LOOPS, Loop
from .measure import Table, Track, interleave, ratios, spread

MANY = 1000
NONE = 0.1
"""Where on a logarithmic axis nobody waits."""


class Size(NamedTuple):
    """How many publishes are timed with so many readers in one turn."""

    readers: int
    publishes: int


FULL = [Size(0, 2000), Size(1, 2000), Size(100, 300), Size(MANY, 25), Size(10_000, 5)]
QUICK = [Size(0, 300), Size(1, 300), Size(100, 30), Size(MANY, 7)]


class Cost(NamedTuple):
    """Median microseconds of one publish."""

    waiting: float
    twin: float


async def turn(loop: Loop, make: Callable[[], Contender[int]], size: Size) -> Cost:
    """Measure one contender, alone on its loop, and its twin without readers."""
    times: list[int] = []
    twin_times: list[int] = []
    twin_publish = make().publish
    async with audience(loop, make(), size.readers) as readers:
        await readers.deliver(1)
        publish = readers.publish
        for _ in range(size.publishes):
            begin = perf_counter_ns()
            twin_publish(0)
            twin_times.append(perf_counter_ns() - begin)
            await readers.deliver(1)
            [value] = readers.expect(1)
            begin = perf_counter_ns()
            publish(value)
            times.append(perf_counter_ns() - begin)
            await readers.received()
    return Cost(median(times) / 1000, median(twin_times) / 1000)


def title(loop: Loop) -> str:
    """Return the title of a table."""
    return f"Microseconds for one publish(): {loop.name}"


def plot(tables: Sequence[Table]) -> str:
    """Draw what one publish costs, by number of waiting readers."""
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for loop, table in zip(LOOPS, tables, strict=True):
        samples = cast(Mapping[str, Mapping[str, list[list[float]]]], table.samples)
        panels[loop.name] = {
            name: {
                max(NONE, int(readers)): [Cost(*cost).waiting for cost in costs]
                for readers, costs in samples[name].items()
            }
            for name in sorted(samples, key=lambda name: name != DRIFTLINE)
        }
    return drawing.lines(
        "Microseconds for one publish(), by number of waiting readers",
        panels,
        "waiting readers",
        "microseconds",
        ticks={NONE: "none", **{size.readers: f"{size.readers:,}" for size in FULL[1:]}},
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure on every loop with every number of readers."""
    sizes = QUICK if quick else FULL
    rounds = 2 if quick else 3
    results: dict[tuple[Loop, str], dict[int, list[Cost]]] = {}
    for loop, size in track(list(product(LOOPS, sizes)), "publish cost"):
        makers = contenders_on(loop, size.readers)
        turns = {name: partial(loop.run, turn, loop, make, size) for name, make in makers.items()}
        for name, costs in interleave(turns, rounds).items():
            results.setdefault((loop, name), {})[size.readers] = costs

    def row(loop: Loop, name: str) -> list[str]:
        costs = results[loop, name]
        waiting = {size: [cost.waiting for cost in costs.get(size.readers, [])] for size in sizes}
        many = [cost.waiting for cost in costs[MANY]]
        twin = [cost.twin for cost in costs[MANY]]
        return [
            name,
            *map(spread, waiting.values()),
            spread(ratios(many, waiting[sizes[0]]), " times"),
            spread(twin),
            spread(ratios(many, twin), " times"),
        ]

    return [
        Table(
            title(loop),
            [
                *settings_of(contenders_on(loop)),
                "The publisher is a task on the readers' loop.",
                f"twin: nobody waits for this publish, but {MANY:,} readers of another one of its "
                "kind have just run, so the processor's caches are as cold.",
                "Each turn gives the median of its publishes ("
                + ", ".join(f"{size.publishes:,} with {size.readers:,}" for size in sizes)
                + f" readers); shown: median and [lowest-highest] of {rounds} interleaved turns.",
                "Reading the clock, some 0.05 microseconds, is included.",
            ],
            [
                "contender",
                *("none" if size == sizes[0] else f"{size.readers:,} waiting" for size in sizes),
                f"{MANY:,} to none",
                "twin",
                f"{MANY:,} to twin",
            ],
            [row(loop, name) for name in contenders_on(loop)],
            {name: results[loop, name] for name in contenders_on(loop)},
        )
        for loop in LOOPS
    ]
