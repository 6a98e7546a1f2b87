"""Where does the time of a delivery go?

The processor's time is sampled: a timer interrupts, and `faulthandler` writes down the stack. It
does so in the middle of whatever runs, C code included. A signal handler in Python would run later,
at the next instruction that looks for signals, and charge the C code of an event loop to the reader
that it steps next; a profiler that follows every call makes calls dear.

In the few nanoseconds in which CPython enters a function there is no stack to read, and the process
dies of the attempt. So what is sampled runs in a process of its own; what that had written by then
counts, and another begins.

C code has no frame here, so its time goes to the line of Python that called it. Where that line is
driftline's and what it calls is asyncio's step of a task, it is known by `STEP`. What remains is
said in the table.
"""

import asyncio
import faulthandler
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import product
from linecache import getline
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import anyio
import trio

import driftline

from . import deliveries
from .audience import Audience, audience
from .contenders import BATCHES, DRIFTLINE, Contender, Driftline, DriftlineBatches, settings_of
from .deliveries import BURST, FLOOR
from .loops import ASYNCIO, LOOPS, Loop
from .measure import ROOT, Table, Track, interleave, short, spread

READERS = 1000
INTERVAL = 0.001
"""Seconds of processor time between two samples; most systems make it four milliseconds."""

SAMPLES = "samples"
STEP = "context.run("
"""The call by which driftline has asyncio step a task."""

LOOP, WAKING, READING, PUBLISHING = (
    "the event loop: stepping tasks",
    "driftline: waking",
    "driftline: reading",
    "driftline: publishing",
)
READER, BENCHMARK = "the reader itself", "the benchmark: publishing, counting"
PARTS = [LOOP, WAKING, READING, PUBLISHING, READER, BENCHMARK]

DRIFTLINES = {
    **dict.fromkeys(("resume", "_wake"), WAKING),
    **dict.fromkeys(("__anext__", "wait"), READING),
    **dict.fromkeys(("publish",), PUBLISHING),
}
"""What the functions by which others enter driftline are for; the innermost counts."""

CORE = Path(driftline.__file__).parent
BENCHMARKS = Path(__file__).parent
LOOPS_CODE = [Path(str(module.__file__)).parent for module in (anyio, asyncio, trio)]
"""uvloop has no line of Python that runs while tasks are stepped; asyncio called it."""


class Frame(NamedTuple):
    """One line of a stack."""

    file: str
    line: int
    function: str


class Shape(NamedTuple):
    """A way to publish and read."""

    title: str
    make: Callable[[], Contender[int]]
    burst: int


SHAPES = [
    Shape("one by one", Driftline, 1),
    Shape(f"bursts of {BURST}", Driftline, BURST),
    Shape(f"bursts of {BURST}, batches", DriftlineBatches, BURST),
]


class Size(NamedTuple):
    """How many turns each shape has, and how many seconds they take without samples and with."""

    loops: list[Loop]
    rounds: int
    timed: float
    sampled: float


FULL = Size(LOOPS, 3, 0.3, 0.6)
QUICK = Size([ASYNCIO], 1, 0.02, 0.05)

SAMPLED = hasattr(faulthandler, "register")  # not on Windows
TRIES = 5


def sample(loop: Loop, shape: Shape, seconds: float) -> Counter[str]:
    """Return how often each part was found at work."""
    parts: Counter[str] = Counter()
    arguments = [loop.name, shape.title, str(seconds)]
    for _ in range(TRIES if SAMPLED else 0):
        child = subprocess.run(
            [sys.executable, "-m", __name__, *arguments], cwd=ROOT, stdout=subprocess.PIPE
        )
        stacks = list(stacks_in(child.stdout.decode()))
        if child.returncode != -signal.SIGSEGV:
            child.check_returncode()
            return parts + Counter(map(part, stacks))
        parts.update(map(part, stacks[:-1]))  # the last is not whole
    return parts


@contextmanager
def sampling() -> Iterator[None]:
    """Write to standard output where the processor is, at intervals of its time."""
    faulthandler.register(signal.SIGPROF, file=sys.stdout, all_threads=False)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def stacks_in(text: str) -> Iterator[list[Frame]]:
    """Return the stacks that `faulthandler` has written, each from the innermost frame on."""
    for stack in text.split("most recent call first):\n")[1:]:
        found = re.findall(r'^  File "(.*)", line (\d+) in (.*)$', stack, re.MULTILINE)
        yield [Frame(file, int(line), function) for file, line, function in found]


def part(stack: list[Frame]) -> str:
    """Return what the innermost frame that belongs to one of the parts was there for."""
    for number, frame in enumerate(stack):
        owner = owner_of(frame.file)
        if owner == LOOP:
            return LOOP
        if owner == DRIFTLINE:
            if STEP in getline(frame.file, frame.line):
                return LOOP
            functions = (frame.function for frame in stack[number:])
            return next((DRIFTLINES[name] for name in functions if name in DRIFTLINES), READING)
        if owner == BENCHMARK:
            return READER if frame.function == "read" else BENCHMARK
    return LOOP


@cache
def owner_of(file: str) -> str | None:
    """Return to whom a file belongs, or None if it only serves its caller."""
    parents = Path(file).parents
    if CORE in parents:
        return DRIFTLINE
    if BENCHMARKS in parents:
        return BENCHMARK
    return LOOP if any(folder in parents for folder in LOOPS_CODE) else None


async def timed(loop: Loop, shape: Shape, seconds: float) -> float:
    """Return the microseconds of one delivery, when deliveries go on for so many seconds."""
    async with audience(loop, shape.make(), READERS) as readers:
        await readers.deliver(shape.burst)  # The first pays for whatever is made only once.
        before = readers.published
        took = await deliver_for(readers, shape.burst, seconds)
    return took / (readers.published - before) / READERS * 1e6


async def sampled(loop: Loop, shape: Shape, seconds: float) -> None:
    """Deliver as `timed` does, while samples are written."""
    async with audience(loop, shape.make(), READERS) as readers:
        await readers.deliver(shape.burst)
        with sampling():
            await deliver_for(readers, shape.burst, seconds)


async def deliver_for(readers: Audience, burst: int, seconds: float) -> float:
    """Deliver burst after burst, and return how many seconds that took."""
    begin = now = perf_counter()
    while now < begin + seconds:
        await readers.deliver(burst)
        now = perf_counter()
    return now - begin


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure on every loop, in every shape."""
    size = QUICK if quick else FULL
    times: dict[tuple[Loop, str], list[float]] = {}
    counts: dict[tuple[Loop, str], Counter[str]] = {}
    for loop, shape in track(list(product(size.loops, SHAPES)), "where time goes"):
        contenders: dict[str, Callable[[], Any]] = {
            shape.title: partial(loop.run, timed, loop, shape, size.timed),
            SAMPLES: partial(sample, loop, shape, size.sampled),
        }
        if shape.burst == 1:
            floor = deliveries.Size(READERS, 30, 0, 0)
            contenders[FLOOR] = partial(loop.run, deliveries.floor, loop, floor)
        results = interleave(contenders, size.rounds)
        times[loop, shape.title] = results[shape.title]
        counts[loop, shape.title] = sum(results[SAMPLES], Counter())
        if FLOOR in results:
            times[loop, FLOOR] = [1e6 / rates.single for rates in results[FLOOR]]
    return [table(loop, times, counts, size) for loop in size.loops]


def table(
    loop: Loop,
    times: dict[tuple[Loop, str], list[float]],
    counts: dict[tuple[Loop, str], Counter[str]],
    size: Size,
) -> Table:
    """Return the shares of all parts, in every shape, on one loop."""
    titles = [shape.title for shape in SHAPES]

    def cells(name: str, title: str) -> list[str]:
        stacks = counts[loop, title]
        if not stacks:
            return ["-", "-"]
        share = stacks[name] / stacks.total()
        return [f"{share:.0%}", short(share * median(times[loop, title])) if share else "0"]

    rows = [[name, *(cell for title in titles for cell in cells(name, title))] for name in PARTS]
    rows.append(["all", *(cell for title in titles for cell in ("", spread(times[loop, title])))])
    rows.append([FLOOR, "", spread(times[loop, FLOOR]), *["", "-"] * (len(titles) - 1)])
    samples = ", ".join(f"{counts[loop, title].total():,} {title}" for title in titles)
    return Table(
        f"Where the time of a delivery goes: {loop.name}",
        [
            *settings_of([DRIFTLINE, BATCHES]),
            f"{READERS:,} readers; the publisher is a task on their loop.",
            f"{FLOOR}: as many tasks that only `await` the loop's shortest yield.",
            "us: microseconds of a delivery, which is the share of the samples times the time that "
            "was measured without them; of the whole, median and [lowest-highest] of "
            f"{size.rounds} turns of {size.timed} seconds, each followed by one with samples in "
            f"a process of its own, of {size.sampled} seconds.",
            f"Samples: {samples}." if SAMPLED else "This system has no timer that samples.",
            "C code counts for the line of Python that called it: what asyncio does to step a task "
            f"is known by the line that calls `{STEP}...)`, and what else driftline has asyncio do "
            "in C, such as taking a callback back, counts as driftline's.",
            f"{READER}: one `list.append`, and what Python does for a turn of its `async for`.",
            "A message that is freed, and a garbage collection, count where they happen.",
        ],
        ["", *(column for title in titles for column in (f"{title}: share", "us"))],
        rows,
        {name: values for (of, name), values in times.items() if of is loop}
        | {f"samples {title}": dict(counts[loop, title]) for title in titles},
    )


def main() -> None:
    """Deliver in one shape on one loop, and write samples to standard output."""
    name, title, seconds = sys.argv[1:]
    [loop] = [loop for loop in LOOPS if loop.name == name]
    [shape] = [shape for shape in SHAPES if shape.title == title]
    loop.run(sampled, loop, shape, float(seconds))


if __name__ == "__main__":
    main()
