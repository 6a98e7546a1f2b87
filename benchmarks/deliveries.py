"""How many deliveries a second?

All readers wait; one message is published; when the last reader has it and all wait again, the next
one is published. That is the dearest way to deliver: one wake-up of one task per message and
reader. The second table publishes a hundred messages in a row instead.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from time import perf_counter
from typing import NamedTuple, cast

from . import drawing
from .audience import audience
from .contenders import (
    BATCHES,
    DRIFTLINE,
    Contender,
    DriftlineBatches,
    TaskSwitches,
    contenders_on,
    settings_of,
)
from .loops import LOOPS, Loop
from .measure import Table, Track, interleave, ratios, spread

FLOOR = "floor: one task switch each"
BURST = 100
MODES = {"single": "one publish per wake-up", "burst": f"bursts of {BURST}"}
ELSEWHERE = {
    "single": BATCHES,  # Of one message.
    "burst": FLOOR,  # Whoever has a backlog need not switch tasks for each message.
}
"""What a table does not show, because it says something in the other one only."""


class Size(NamedTuple):
    """How much is published to so many readers in one turn."""

    readers: int
    singles: int
    bursts: int
    rounds: int


FULL = [
    Size(1, 2000, 60, 4),
    Size(10, 600, 20, 4),
    Size(100, 200, 5, 4),
    Size(1000, 20, 1, 4),
    Size(10_000, 5, 1, 2),
]
QUICK = [Size(1, 100, 3, 2), Size(100, 10, 1, 2)]


class Rates(NamedTuple):
    """Deliveries a second."""

    single: float
    burst: float


async def turn(loop: Loop, make: Callable[[], Contender[int]], size: Size) -> Rates:
    """Measure one contender, alone on its loop."""
    async with audience(loop, make(), size.readers) as readers:
        await readers.deliver(1)  # The first delivery pays for whatever is made only once.
        begin = perf_counter()
        for _ in range(size.singles):
            await readers.deliver(1)
        middle = perf_counter()
        for _ in range(size.bursts):
            await readers.deliver(BURST)
        end = perf_counter()
    return Rates(
        size.readers * size.singles / (middle - begin),
        size.readers * size.bursts * BURST / (end - middle),
    )


async def floor(loop: Loop, size: Size) -> Rates:
    """Measure the loop itself: as many tasks take turns, each once per message."""
    messages = max(30, size.singles)  # Many, so that starting the tasks hardly counts.
    async with audience(loop, TaskSwitches(loop), size.readers) as readers:
        begin = perf_counter()
        await readers.deliver(messages)
        end = perf_counter()
    rate = size.readers * messages / (end - begin)
    return Rates(rate, rate)


def title(mode: str, loop: Loop) -> str:
    """Return the title of a table."""
    return f"Deliveries a second, {MODES[mode]}: {loop.name}"


def plot(tables: Sequence[Table]) -> str:
    """Draw the rates of all contenders, by number of readers."""
    by_title = {table.title: table for table in tables}
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for mode, loop in product(Rates._fields, LOOPS):
        panel = panels.setdefault(f"{loop.name}, {MODES[mode]}", {})
        samples = cast(Mapping[str, list[float]], by_title[title(mode, loop)].samples)
        for name in sorted(samples, key=lambda name: not name.startswith(DRIFTLINE)):
            contender, _, readers = name.rpartition(", ")
            panel.setdefault(contender, {})[int(readers)] = samples[name]
    return drawing.lines(
        "Deliveries a second, by number of readers", panels, "readers", "deliveries a second"
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure on every loop with every number of readers."""
    sizes = QUICK if quick else FULL
    cells = list(product(LOOPS, sizes))
    rows: dict[tuple[Loop, str], list[list[str]]] = {}
    samples: dict[tuple[Loop, str], dict[str, list[float]]] = {}
    for loop, size in track(cells, "deliveries"):
        makers = {**contenders_on(loop, size.readers), BATCHES: DriftlineBatches}
        baseline = next(iter(makers))
        turns = {name: partial(loop.run, turn, loop, make, size) for name, make in makers.items()}
        results = interleave({**turns, FLOOR: partial(loop.run, floor, loop, size)}, size.rounds)
        for mode in Rates._fields:
            for name, rates in results.items():
                if name == ELSEWHERE[mode]:
                    continue
                values = [getattr(rate, mode) for rate in rates]
                bases = [getattr(rate, mode) for rate in results[baseline]]
                readers = f"{size.readers:,}" if name == baseline else ""
                row = [readers, name, spread(values), spread(ratios(values, bases), "x")]
                rows.setdefault((loop, mode), []).append(row)
                samples.setdefault((loop, mode), {})[f"{name}, {size.readers}"] = values
    return [*per_loop(sizes, rows, samples), summary(sizes, samples)]


def summary(sizes: list[Size], samples: dict[tuple[Loop, str], dict[str, list[float]]]) -> Table:
    """Return the ratios alone, all loops and numbers of readers in one table."""
    rows: list[list[str]] = []
    for loop, mode in product(LOOPS, Rates._fields):
        cells = samples[loop, mode]
        baseline = next(iter(cells)).rpartition(",")[0]
        for name in dict.fromkeys(cell.rpartition(",")[0] for cell in cells):
            if name not in (baseline, FLOOR):
                row = [loop.name, "one" if mode == "single" else str(BURST), name]
                for size in sizes:
                    values = cells.get(f"{name}, {size.readers}")
                    bases = cells[f"{baseline}, {size.readers}"]
                    row.append(spread(ratios(values, bases), "x") if values else "-")
                rows.append(row)
    return Table(
        "Deliveries a second, as a ratio to one queue (on trio: one memory channel) per client",
        ["By number of readers; each is a median with [lowest-highest] of the tables above."],
        ["loop", "published in a row", "contender", *(f"{size.readers:,}" for size in sizes)],
        rows,
        {},
    )


def per_loop(
    sizes: list[Size],
    rows: dict[tuple[Loop, str], list[list[str]]],
    samples: dict[tuple[Loop, str], dict[str, list[float]]],
) -> list[Table]:
    """Return two tables for each loop."""
    return [
        Table(
            title(mode, loop),
            [
                *settings_of(contenders_on(loop)),
                *(settings_of([BATCHES]) if mode == "burst" else []),
                "The publisher is a task on the readers' loop; each reader is one task.",
                *(
                    [f"{FLOOR}: as many tasks that only `await` the loop's shortest yield."]
                    if ELSEWHERE[mode] != FLOOR
                    else []
                ),
                f"Median and [lowest-highest] of {sizes[0].rounds} interleaved rounds, "
                f"{sizes[-1].rounds} with {sizes[-1].readers:,} readers.",
            ],
            [
                "readers",
                "contender",
                "deliveries a second",
                f"to {next(iter(contenders_on(loop)))}",
            ],
            rows[loop, mode],
            samples[loop, mode],
        )
        for loop, mode in product(LOOPS, Rates._fields)
    ]
