"""The event loops that everything is measured on.

Readers and publishers are written once, on anyio. What differs is only what must cost as little as
the loop can make it: the event that ends a round, and the shortest way to let others run.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

import anyio
import trio

Result = TypeVar("Result")


class Event(Protocol):
    """What `asyncio.Event` and `trio.Event` have in common."""

    def set(self) -> None: ...

    async def wait(self) -> object: ...


@dataclass(frozen=True)
class Loop:
    """One event loop: how to run it, wait on it and yield to it."""

    name: str
    event: Callable[[], Event]
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


ASYNCIO = Loop("asyncio", asyncio.Event, partial(asyncio.sleep, 0))
UVLOOP = Loop("uvloop", asyncio.Event, partial(asyncio.sleep, 0))
TRIO = Loop("trio", trio.Event, trio.lowlevel.checkpoint)

LOOPS = [loop for loop in (ASYNCIO, UVLOOP, TRIO) if loop is not UVLOOP or find_spec("uvloop")]
