"""Ctrl-C, SIGTERM, and the number with which a command ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

import anyio

from driftline._command.words import Complaint, say

Loop = Literal["asyncio", "uvloop", "trio"]

INTERRUPTED: Final = 128 + signal.SIGINT
_WRONG: Final = 1


def run(work: Callable[[], Awaitable[int]], loop: Loop = "asyncio") -> int:
    """Run a command, and return the number with which it is to end.

    Args:
        work: the command, which returns that number.
        loop: on what it runs.
    """
    try:
        if loop == "trio":
            return anyio.run(work, backend="trio")
        return anyio.run(work, backend_options={"use_uvloop": loop == "uvloop"})
    except KeyboardInterrupt:  # before a command listens to signals, or a second time
        return INTERRUPTED
    except BaseExceptionGroup as group:
        return _judge(_single(group))
    except Exception as error:
        return _judge(error)


@contextmanager
def hearing_signals() -> Iterator[Callable[[], Awaitable[int]]]:
    """Hear Ctrl-C and SIGTERM while a block runs; the function waits for one, and returns it.

    Behind the block they do what they do to any program, so that a second Ctrl-C ends at once what
    takes its time to stop.
    """
    if sys.platform == "win32":  # which knows Ctrl-C alone, and that as an exception
        yield anyio.sleep_forever
    else:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            yield signals.__anext__


async def stoppable(work: Callable[[], Awaitable[int]]) -> int:
    """Run a client until it is done, or until a signal cancels it."""
    status = 0
    with hearing_signals() as wait_for_signal:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                nonlocal status
                status = 128 + await wait_for_signal()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            status = await work()
            tasks.cancel_scope.cancel()
    return status


def _judge(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError):  # who reads our output has had enough
        return 0
    if isinstance(error, Complaint):
        say(str(error))
        return _WRONG
    raise error


def _single(error: BaseException) -> BaseException:
    """Return the error in a group of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
