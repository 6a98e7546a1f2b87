"""Parking for trio.

Rescheduling a thousand tasks takes a millisecond, so `publish()` does not do it. In a task of the
same run it reschedules one of those who wait, the leader, who wakes the others before going on.
From elsewhere it asks trio to wake them, by `run_sync_soon`, which writes to a socket: twice as
dear, but safe in other threads, and in a signal handler while trio itself is at work or asleep.

The leader is as sure to run as a system task would be: trio does not cancel a task between its
rescheduling and its next step. And unlike a system task it needs no start and no end.

Invariant: who is in `parked` sleeps, and is rescheduled, once, by whoever takes it out. Control-C
waits until that is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from trio import RunFinishedError
from trio.lowlevel import (
    Abort,
    Task,
    TrioToken,
    checkpoint,
    current_task,
    current_trio_token,
    enable_ki_protection,
    in_trio_task,
    reschedule,
    wait_task_rescheduled,
)

from driftline._core.parking.base import Parking, Reader, TaskWaiter

_SLICE: Final = 1000  # tasks that are rescheduled before the others get a turn


class TrioWaiter(TaskWaiter):
    """Where a subscription waits that a trio task reads."""

    __slots__ = ("parking", "task")

    def __init__(self, parking: TrioParking) -> None:
        self.parking = parking
        self.task: Task | None = None

    def leave(self) -> None:
        self.parking.leave(self)

    @enable_ki_protection
    async def wait(self, reader: Reader) -> None:
        parking = self.parking
        if reader._reading or not parking.is_here():
            await reader._settle().wait(reader)
            return
        reader._reading = True
        self.task = current_task()
        try:
            if reader._link.next is not None:
                await checkpoint()
            while reader._link.next is None:
                if parking.enter(self, reader):
                    await wait_task_rescheduled(self._abort)
                    if parking.led:
                        parking.resume()
        except BaseException:
            self.leave()
            raise
        finally:
            self.task = None
            reader._reading = False

    def _abort(self, raise_cancel: object) -> Abort:
        return Abort.SUCCEEDED if self.parking.leave(self) else Abort.FAILED

    def wake(self) -> None:
        self.parking.soon(self.resume)

    def resume(self) -> None:
        if self.parking.leave(self):
            self.run()

    def run(self) -> None:
        """Let the task go on. The waiter does not stand in the parking any more."""
        assert self.task is not None
        reschedule(self.task)


class TrioParking(Parking[TrioWaiter]):
    """Those who wait for one topic in one trio run."""

    __slots__ = ("led", "token")

    def __init__(self, queue: deque[Parking[Any]], token: TrioToken) -> None:
        super().__init__(queue)
        self.token = token
        self.led = False  # whether a leader is to call `resume`; whoever runs first may

    def waiter(self) -> TrioWaiter:
        return TrioWaiter(self)

    def is_here(self) -> bool:
        """Return whether a task of this run is running in this thread."""
        return in_trio_task() and current_trio_token() is self.token

    @enable_ki_protection
    def call(self) -> None:
        if not self.is_here():
            self.soon(self.resume)
            return
        try:
            leader, reader = self.parked.popitem()
        except KeyError:
            self.resume()  # all have been cancelled
            return
        if leader.task is current_task():  # a finalizer publishes while this is about to wait
            self.parked[leader] = reader
            self.soon(self.resume)
        else:
            self.led = True
            leader.run()

    def soon(self, callback: Callable[[], object]) -> None:
        """Run a callback soon in the run, if it is not over. From any thread."""
        with suppress(RunFinishedError):
            self.token.run_sync_soon(callback)

    def resume(self) -> None:
        self.led = False
        self._wake(self.ready())

    def _wake(self, waiters: list[TrioWaiter]) -> None:
        for waiter in waiters[:_SLICE]:
            waiter.resume()
        if len(waiters) > _SLICE:
            rest = waiters[_SLICE:]
            self.token.run_sync_soon(self._wake, rest)
