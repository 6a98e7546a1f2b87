"""How long is the event loop held when a reader far behind is let go of?

A subscription that nobody reads and no limit bounds keeps every message. Then it is cut off,
closed, forgotten, or moved on, in a task of an event loop on which a heart beats. What is shown is
the largest gap of the heartbeat until all that was to be freed is free.

The machine takes time too, and not for driftline. So beside the gap there is how much of it this
thread has computed; and a control waits for as long with the same messages pending, and lets
nothing go.
"""

import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from time import perf_counter, thread_time
from typing import NamedTuple

import anyio

from driftline import OnLag, Subscription, Topic

from .audience import PATIENCE, Miscount, check_counts
from .drain import INTERVAL, Last
from .loops import ASYNCIO, LOOPS
from .measure import Table, Track, interleave, spread

PIECE = 10_000
LIMIT = 10_000
CONTROL = "nothing (control)"


class Gap(NamedTuple):
    """The largest gaps in milliseconds, and how many seconds it all took."""

    elapsed: float
    computed: float
    seconds: float


class Heart:
    """A task that wants to run every millisecond, and knows how long it was kept from it."""

    def __init__(self) -> None:
        self.begin = self.last = perf_counter()
        self.computed = thread_time()
        self.gaps: list[tuple[float, float]] = []

    def beat(self) -> None:
        now, computed = perf_counter(), thread_time()
        self.gaps.append((now - self.last, computed - self.computed))
        self.last, self.computed = now, computed

    async def run(self) -> None:
        while True:
            await anyio.sleep(INTERVAL)
            self.beat()

    def gap(self) -> Gap:
        elapsed, computed = zip(*self.gaps, strict=True)
        return Gap(max(elapsed) * 1000, max(computed) * 1000, self.last - self.begin)


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heart]:
    """Let a heart beat beside the block."""
    async with anyio.create_task_group() as tasks:
        heart = Heart()
        tasks.start_soon(heart.run)
        await anyio.sleep(INTERVAL)
        yield heart
        heart.beat()  # The block may have ended before the heart could.
        tasks.cancel_scope.cancel()


class Reader:
    """A topic, and its only reader, which has not read for a long time."""

    def __init__(self, messages: int, kept: int) -> None:
        self.topic = Topic[object]("benchmark")
        self.subscription: Subscription[object] | None = self.topic.subscribe()
        self.last = self.publish(messages - kept)
        self.publish(kept)
        if self.subscription.lag != messages or self.last() is None:
            raise Miscount("the messages are not all pending")

    def publish(self, messages: int) -> "weakref.ref[Last]":
        """Publish so many, and return the last of them."""
        last = Last()
        for begin in range(0, messages, PIECE):
            piece = [None] * min(PIECE, messages - begin)
            end = begin + len(piece) == messages
            self.topic.publish_many([*piece[1:], last] if end else piece)
        return weakref.ref(last)

    def reader(self) -> Subscription[object]:
        assert self.subscription is not None
        return self.subscription


def close(reader: Reader) -> None:
    reader.reader().close()


def forget(reader: Reader) -> None:
    reader.subscription = None


def skip(reader: Reader) -> None:
    reader.reader().skip_to_latest()


def limit(reader: Reader) -> None:
    reader.topic.limit = LIMIT
    reader.topic.publish(None)  # A limit holds from the next message on.


def max_lag(on_lag: OnLag, reader: Reader) -> None:
    subscription = reader.reader()
    subscription.max_lag, subscription.on_lag = LIMIT, on_lag
    subscription.receive_nowait()


class Action(NamedTuple):
    """What lets go of messages, and of how many it does not."""

    act: Callable[[Reader], None] | None
    kept: int


ACTIONS = {
    CONTROL: Action(None, 1),
    "close()": Action(close, 0),
    "forgotten": Action(forget, 0),
    "skip_to_latest()": Action(skip, 1),
    f"limit = {LIMIT:_}": Action(limit, 2 * LIMIT),
    f'max_lag={LIMIT:_}, "skip"': Action(partial(max_lag, "skip"), LIMIT),
    f'max_lag={LIMIT:_}, "latest"': Action(partial(max_lag, "latest"), 1),
}
EVERYWHERE = list(ACTIONS)[:2] + list(ACTIONS)[4:5]
"""What is measured on every loop. It takes a while to publish ten million messages."""


async def let_go(action: Action, messages: int) -> Gap:
    """Let go, and wait until all is free."""
    reader = Reader(messages, action.kept)
    gc.collect()
    async with heartbeat() as heart:
        if action.act is None:
            await anyio.sleep(messages * 250e-9)  # About as long as it takes to free them.
        else:
            action.act(reader)
            with anyio.fail_after(PATIENCE):
                # Freed in slices between other tasks, so there is no event to wait for.
                while reader.last() is not None:  # noqa: ASYNC110
                    await anyio.sleep(INTERVAL)
    if action.act is None and reader.last() is None:
        raise Miscount("the control has let go of messages")
    if action.act is not forget:
        check(reader, messages, action.kept)
    gap = heart.gap()
    reader.topic.close()
    return gap


def check(reader: Reader, messages: int, kept: int) -> None:
    """Raise `Miscount` unless every message is accounted for."""
    subscription = reader.reader()
    check_counts(subscription, subscription.received)
    if subscription.missed + subscription.skipped > messages - min(kept, 1):
        raise Miscount(f"more than the {messages} messages were let go of")


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every way to let go on every loop."""
    messages, rounds = (200_000, 1) if quick else (2_000_000, 1)
    cells = [
        (loop, (name, action))
        for loop, (name, action) in product(LOOPS, ACTIONS.items())
        if loop is ASYNCIO or name in EVERYWHERE
    ]
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    for loop, (name, action) in track(cells, "letting go"):
        gaps = interleave({name: partial(loop.run, let_go, action, messages)}, rounds)[name]
        elapsed, computed, seconds = map(list, zip(*gaps, strict=True))
        samples[f"{loop.name}, {name}"] = gaps
        first = loop.name if name == CONTROL else ""
        rows.append([first, name, spread(elapsed), spread(computed), spread(seconds)])
    return [
        Table(
            f"Largest gap of a 1 ms heartbeat while {messages:,} pending messages are let go",
            [
                "One topic without limits, one subscription that has not read; the heart beats on "
                "its loop, where it is let go of.",
                "largest gap: between two beats, with the millisecond that it wants to wait; "
                "largest computed: processor time of this thread between two beats, which other "
                "processes do not lengthen.",
                f"{CONTROL}: the same messages, and about the same time.",
                'limit: set on the topic, then one publish; max_lag: "skip" and "latest" are '
                "`on_lag`, set on the subscription, then one `receive_nowait`.",
                "all of it: until the last message that is not to be kept is freed. "
                "Numbers of messages are counted afterwards.",
                "One round." if rounds == 1 else f"Median and [lowest-highest] of {rounds} rounds.",
            ],
            ["loop", "what happens", "largest gap, ms", "largest computed, ms", "all of it, s"],
            rows,
            samples,
        )
    ]
