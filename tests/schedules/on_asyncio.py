"""Scenarios on asyncio, with its own task groups and its own cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from proof import shuffled
from proof.shuffled import explore as explore
from schedules.play import Cancel, Start


def lots() -> Random:
    """Return what the running schedule is drawn from."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, shuffled.ShuffledLoop)
    return loop.lots


async def pause() -> None:
    """Let others run once."""
    await asyncio.sleep(0)


sleep = asyncio.sleep


@asynccontextmanager
async def tasks() -> AsyncIterator[Start]:
    """Start tasks within, and leave when all have ended."""
    async with asyncio.TaskGroup() as group:

        def start(coroutine: Coroutine[Any, Any, object]) -> Cancel:
            task = group.create_task(coroutine)

            async def cancel() -> None:
                task.cancel()
                await asyncio.wait([task])

            return cancel

        yield start
