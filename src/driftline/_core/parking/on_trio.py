"""Parking for trio.

Rescheduling a thousand tasks takes a millisecond, so `publish()` does not do it. In each trio run
one system task sleeps until there are parkings to resume; to reschedule this one is all that
publishing from within the run does. From elsewhere it asks trio to call, by `run_sync_soon`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import Any, Final

import trio
from trio.lowlevel import Abort, Task, TrioToken

from driftline._core.parking.base import Parking, Reader

_SLICE: Final = 1000  # tasks that are rescheduled before the others get a turn


class TrioWaiter:
    """Where a subscription waits that a trio task reads."""

    __slots__ = ("_parking", "task")

    def __init__(self, parking: TrioParking) -> None:
        self._parking = parking
        self.task: Task | None = None

    def here(self) -> bool:
        return (
            trio.lowlevel.in_trio_task()
            and trio.lowlevel.current_trio_token() is self._parking.token
        )

    async def wait(self, reader: Reader) -> None:
        if not self._parking.enter(self, reader):
            return
        self.task = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        finally:
            self.task = None

    def _abort(self, raise_cancel: object) -> Abort:
        self._parking.leave(self)
        return Abort.SUCCEEDED

    def checkpoint(self) -> Awaitable[None]:
        return trio.lowlevel.checkpoint()

    def wake(self) -> None:
        self._parking.call(self.resume)

    def resume(self) -> None:
        if self._parking.leave(self) and self.task is not None:
            trio.lowlevel.reschedule(self.task)


class TrioParking(Parking[TrioWaiter]):
    """Those who wait for one topic in one trio run."""

    __slots__ = ("token",)

    def __init__(self, queue: deque[Parking[Any]], token: TrioToken) -> None:
        super().__init__(queue)
        self.token = token

    def waiter(self) -> TrioWaiter:
        return TrioWaiter(self)

    def call(self, callback: Any = None) -> None:
        try:
            self.token.run_sync_soon(callback or self.resume)
        except trio.RunFinishedError:
            pass

    def resume(self) -> None:
        self._wake(self.ready())

    def _wake(self, waiters: list[TrioWaiter]) -> None:
        for waiter in waiters[:_SLICE]:
            waiter.resume()
        if len(waiters) > _SLICE:
            rest = waiters[_SLICE:]
            self.token.run_sync_soon(self._wake, rest)
