"""The event loops that everything is measured on.

Most is written once, on anyio. What each loop does in its own way is what counts in the measured
time: its tasks, because anyio would wrap each in one more coroutine, and the shortest way to let
others run.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

import anyio
import trio

Result = TypeVar("Result")
Start = Callable[..., object]
"""Starts a task, given a coroutine function and its arguments."""


@dataclass(frozen=True)
class Loop:
    """One event loop: how to run it, start tasks on it and yield to it."""

    name: str
    tasks: Callable[[], AbstractAsyncContextManager[Start]]
    checkpoint: Callable[[], Awaitable[None]]

    def run(self, function: Callable[..., Awaitable[Result]], *arguments: Any) -> Result:
        """Run `function(*arguments)` on a fresh loop of this kind."""
        if self.name == "trio":
            return anyio.run(function, *arguments, backend="trio")
        options = {"use_uvloop": self.name == "uvloop"}
        return anyio.run(function, *arguments, backend="asyncio", backend_options=options)

    async def settle(self) -> None:
        """Let every task that was just started reach the place where it waits.

        Four turns are more than any contender needs: one to start, one for those that yield
        before they wait.
        """
        for _ in range(4):
            await self.checkpoint()


@asynccontextmanager
async def asyncio_tasks() -> AsyncIterator[Start]:
    """Start plain asyncio tasks, and cancel them at the end."""
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:

        def start(function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
            tasks.append(group.create_task(function(*arguments)))

        yield start
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def trio_tasks() -> AsyncIterator[Start]:
    """Start plain trio tasks, and cancel them at the end."""
    async with trio.open_nursery() as nursery:
        yield nursery.start_soon
        nursery.cancel_scope.cancel()


ASYNCIO = Loop("asyncio", asyncio_tasks, partial(asyncio.sleep, 0))
UVLOOP = Loop("uvloop", asyncio_tasks, partial(asyncio.sleep, 0))
TRIO = Loop("trio", trio_tasks, trio.lowlevel.checkpoint)

LOOPS = [loop for loop in (ASYNCIO, UVLOOP, TRIO) if loop is not UVLOOP or find_spec("uvloop")]
