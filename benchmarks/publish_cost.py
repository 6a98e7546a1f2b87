"""What does one `publish()` cost the publisher, and does it grow with the number of readers?

Only the call is timed, one at a time, each with all readers freshly waiting. For the rivals the
call is the whole loop over their clients.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from statistics import median
from time import perf_counter_ns
from typing import NamedTuple

from .audience import audience
from .contenders import Contender, contenders_on, settings_of
from .loops import LOOPS, Loop
from .measure import Table, Track, interleave, ratios, spread


class Size(NamedTuple):
    """How many publishes are timed with so many readers in one turn."""

    readers: int
    publishes: int


FULL = [Size(0, 2000), Size(1, 2000), Size(100, 300), Size(1000, 50), Size(10_000, 9)]
QUICK = [Size(0, 300), Size(1, 300), Size(100, 30), Size(1000, 7)]


async def turn(loop: Loop, make: Callable[[], Contender[int]], size: Size) -> float:
    """Return the median microseconds of one publish."""
    times = []
    async with audience(loop, make(), size.readers) as readers:
        await readers.deliver(1)
        publish = readers.publish
        for _ in range(size.publishes):
            [value] = readers.expect(1)
            begin = perf_counter_ns()
            publish(value)
            times.append(perf_counter_ns() - begin)
            await readers.received()
    return median(times) / 1000


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure on every loop with every number of readers."""
    sizes = QUICK if quick else FULL
    rounds = 3 if quick else 5
    results: dict[tuple[Loop, str], dict[int, list[float]]] = {}
    for loop, size in track(list(product(LOOPS, sizes)), "publish cost"):
        makers = contenders_on(loop)
        turns = {name: partial(loop.run, turn, loop, make, size) for name, make in makers.items()}
        for name, times in interleave(turns, rounds).items():
            results.setdefault((loop, name), {})[size.readers] = times
    return [
        Table(
            f"Microseconds for one publish(): {loop.name}",
            [
                *settings_of(contenders_on(loop)),
                "The publisher is a task on the readers' loop.",
                "Each turn gives the median of its publishes ("
                + ", ".join(f"{size.publishes:,} with {size.readers:,}" for size in sizes)
                + f" readers); shown are median and [lowest-highest] of {rounds} interleaved turns.",
                "Reading the clock, some 0.05 microseconds, is included.",
            ],
            [
                "contender",
                *(f"{size.readers:,} readers" if size.readers else "none" for size in sizes),
                "1,000 to none",
            ],
            [
                [
                    name,
                    *(spread(results[loop, name][size.readers]) for size in sizes),
                    spread(ratios(results[loop, name][1000], results[loop, name][0]), "x"),
                ]
                for name in contenders_on(loop)
            ],
            {name: results[loop, name] for name in contenders_on(loop)},
        )
        for loop in LOOPS
    ]
