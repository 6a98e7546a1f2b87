"""What a scenario has at hand: lots, tasks, and a ledger in which everything is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from random import Random
from typing import Any, Protocol, TypeVar

import anyio

from driftline import Lagged, SlowConsumer, Subscription
from proof.law import Ledger, Published, Reader

T = TypeVar("T")

Cancel = Callable[[], Awaitable[object]]
"""Cancels a task, and returns when it has ended."""

Start = Callable[[Coroutine[Any, Any, object]], Cancel]
Way = Callable[["Play", Reader[Subscription[Any]]], Awaitable[object]]


class Loop(Protocol):
    """An event loop that draws lots: see `on_asyncio` and `on_trio`."""

    def lots(self) -> Random: ...

    async def pause(self) -> None: ...

    async def sleep(self, seconds: float, /) -> None: ...

    def tasks(self) -> AbstractAsyncContextManager[Start]: ...


class Play:
    """One run of a scenario.

    Attributes:
        lots: What is done is drawn from these, and so is the order.
        trace: What was done, in its order.
    """

    def __init__(self, loop: Loop, trace: list[str]) -> None:
        self.lots = loop.lots()
        self.tasks = loop.tasks
        self.trace = trace
        self._pause = loop.pause
        self._sleep = loop.sleep

    async def pause(self) -> None:
        """Let others run, for a step or two, or until they all wait."""
        steps = int(self.lots.random() * 4)
        if steps == 3:
            await self._sleep(1)
        else:
            for _ in range(steps):
                await self._pause()

    async def publish(self, ledger: Ledger, publisher: str, most: int = 2) -> None:
        """Publish a few messages, unless the topic is closed."""
        with suppress(anyio.ClosedResourceError):
            for _ in range(self.lots.randrange(most) + 1):
                ledger.publish(publisher)
                self.trace.append(publisher)
                await self.pause()

    async def read(self, reader: Reader[Subscription[Any]], *ways: Way) -> None:
        """Read in one of these ways after the other, until there is no more."""
        with suppress(anyio.EndOfStream):
            while True:
                try:
                    await self.lots.choice(ways)(self, reader)
                except Lagged:
                    pass
                except (anyio.ClosedResourceError, SlowConsumer):
                    reader.leave()
                    return
                finally:
                    self.trace.append(reader.name)


# Ways to read.


async def receive(_: Play, reader: Reader[Subscription[Published]]) -> None:
    """Wait for the next message."""
    reader.got(await reader.subscription.receive())


async def take(play: Play, reader: Reader[Subscription[Published]]) -> None:
    """Take what is ready, or else let others run."""
    try:
        reader.got(reader.subscription.receive_nowait())
    except anyio.WouldBlock:
        await play.pause()


async def batch(_: Play, reader: Reader[Subscription[Published]]) -> None:
    """Take what is ready, at most two, at once."""
    values = await _first(reader.subscription.batches(max_size=2))
    position = reader.subscription.position.seq - len(values)
    for number, value in enumerate(values, 1):
        reader.got(value, position + number)


async def latest(_: Play, reader: Reader[Subscription[Published]]) -> None:
    """Take the newest."""
    reader.got(await _first(reader.subscription.latest()))


async def message(_: Play, reader: Reader[Subscription[Published]]) -> None:
    """Take the next one with its number."""
    found = await _first(reader.subscription.messages())
    reader.got(found.value, found.seq)


async def skip(play: Play, reader: Reader[Subscription[Published]]) -> None:
    """Pass over a message, or over all but the newest."""
    if play.lots.random() < 0.5:
        reader.subscription.skip(1)
    else:
        reader.subscription.skip_to_latest()
    await play.pause()


async def give_up(play: Play, reader: Reader[Subscription[Published]]) -> None:
    """Wait for the next message, but not for long."""
    with anyio.move_on_after(play.lots.randrange(2)):
        reader.got(await reader.subscription.receive())


async def wait(play: Play, _: Reader[Subscription[Published]]) -> None:
    """Do something else."""
    await play.pause()


async def _first(values: AsyncIterator[T]) -> T:
    async for value in values:
        return value
    raise anyio.EndOfStream
