"""What a heartbeat is without driftline: alone in a process, and beside threads that count."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
from types import TracebackType
from typing import Self

import anyio

from soak.heart import Gaps, Heart


def beat(heart: Heart, stopping: Event) -> None:
    """Let a heart beat on an asyncio loop with nothing else, until told to stop."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heart.run)
            # Set by another thread, so there is no event of the loop to wait for.
            while not stopping.is_set():  # noqa: ASYNC110
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    anyio.run(main)


def beside_counting(threads: int, seconds: float) -> Gaps:
    """Return the gaps of a heartbeat beside so many threads that only count.

    A thread that computes keeps the interpreter for 5 milliseconds at a time, whatever it computes.
    """
    stopping = Event()
    heart = Heart("counting")

    def count() -> None:
        number = 0
        while not stopping.is_set():
            number += 1

    started = [Thread(target=count) for _ in range(threads)]
    started.append(Thread(target=beat, args=[heart, stopping]))
    for thread in started:
        thread.start()
    stopping.wait(seconds)
    stopping.set()
    for thread in started:
        thread.join()
    return heart.elapsed


class Idle:
    """A heart in a process of its own, beside the run: what it feels is the machine."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.gaps = Gaps()
        self._mine, theirs = context.Pipe()
        self._process = context.Process(target=_idle, args=[theirs], daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._mine.send(None)
        if self._mine.poll(30):
            self.gaps = self._mine.recv()
        self._process.join(30)


def _idle(connection: Connection) -> None:
    stopping = Event()
    heart = Heart("idle")
    thread = Thread(target=beat, args=[heart, stopping])
    thread.start()
    connection.recv()
    stopping.set()
    thread.join()
    connection.send(heart.elapsed)
