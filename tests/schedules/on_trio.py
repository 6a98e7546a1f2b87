"""Scenarios on trio, with its own nurseries and its own cancellation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio

from proof import seeded_trio
from proof.seeded_trio import explore as explore
from schedules.play import Cancel, Start


def lots() -> Random:
    """Return what the running schedule is drawn from."""
    return seeded_trio.lots


pause = trio.lowlevel.checkpoint
sleep = trio.sleep


@asynccontextmanager
async def tasks() -> AsyncIterator[Start]:
    """Start tasks within, and leave when all have ended."""
    async with trio.open_nursery() as nursery:

        def start(coroutine: Coroutine[Any, Any, object]) -> Cancel:
            scope, ended = trio.CancelScope(), trio.Event()

            async def run() -> None:
                with scope:
                    await coroutine
                ended.set()

            async def cancel() -> None:
                scope.cancel()
                await ended.wait()

            nursery.start_soon(run)
            return cancel

        yield start
