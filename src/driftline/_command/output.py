"""Standard output, which nobody needs to read at once."""

from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from driftline._command.words import Complaint

_PIECE: Final = getattr(select, "PIPE_BUF", 512)  # bytes that a pipe with room takes at once


class Output:
    """Writes to standard output while the event loop goes on, so that Ctrl-C is heard.

    On asyncio. Whoever reads slowly holds up who writes, and nobody else.

    Raises:
        Complaint: standard output is closed.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise Complaint("standard output is closed")
        self._number = sys.stdout.fileno()

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            BrokenPipeError: nobody reads it any more.
            Complaint: it cannot be written.
        """
        rest = memoryview(data)
        while rest:
            try:
                await self._wait_until_ready()
                rest = rest[os.write(self._number, rest[:_PIECE]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise
            except OSError as error:
                raise Complaint(f"cannot write to standard output: {error.strerror}") from None

    async def wait_closed(self) -> None:
        """Wait until nobody reads a pipe any more, which a write would tell too late."""
        if not stat.S_ISFIFO(os.fstat(self._number).st_mode) or sys.platform == "win32":
            await asyncio.Event().wait()
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        # The end of a pipe that is written to becomes readable when the other end is closed.
        loop.add_reader(self._number, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._number)

    async def while_read(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something, but no longer than somebody reads."""
        async with anyio.create_task_group() as tasks:

            async def end_with_output() -> None:
                await self.wait_closed()
                tasks.cancel_scope.cancel()

            tasks.start_soon(end_with_output)
            await work()
            tasks.cancel_scope.cancel()

    async def _wait_until_ready(self) -> None:
        if sys.platform == "win32" or select.select([], [self._number], [], 0)[1]:
            return
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_writer(self._number, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._number)
