"""Parking for threads, each waiting for a lock of its own.

A publisher releases one lock, whoever's it is: that thread wakes the others (J3), on its own time.
A thread that stops waiting for another reason looks whether it was called, and does the same.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import Any
from weakref import WeakSet

from driftline._core.checks import checked_deadline
from driftline._core.parking.base import Parking, Reader, TaskWaiter
from driftline._core.parking.here import event_loop_here


class ThreadWaiter(TaskWaiter):
    """Where a subscription waits that a thread reads."""

    __slots__ = ("_lock", "parking")

    def __init__(self, parking: ThreadParking) -> None:
        self.parking = parking
        self._lock = Lock()
        self._lock.acquire()

    def leave(self) -> None:
        self.parking.leave(self)
        if self.parking.called:
            self.parking.resume()

    def block(self, reader: Reader, timeout: float | None) -> None:
        """Wait until the reader has a message, at most `timeout` seconds if that is given.

        Raises:
            RuntimeError: this thread runs an event loop.
            TimeoutError: there was no message in time.
        """
        loop = event_loop_here()
        if loop is not None:
            raise RuntimeError(
                f"this thread runs {loop}, which could not go on while it is blocked here; "
                "use `await receive()` or `async for`, or read in another thread"
            )
        deadline = checked_deadline(timeout)
        reader._reading = True
        try:
            while not reader._has_next():
                remaining = deadline - monotonic()
                if remaining <= 0:
                    raise TimeoutError(f"there was no message in {timeout} seconds")
                try:
                    if self.parking.enter(self, reader):
                        self._lock.acquire(timeout=min(remaining, TIMEOUT_MAX))
                    else:  # the publisher may have looked before this was queued, for others too
                        self.parking.called = True
                finally:
                    self.leave()
        finally:
            reader._reading = False

    def wake(self) -> None:
        if self.parking.leave(self):
            self.release()

    def release(self) -> None:
        with suppress(RuntimeError):  # released already
            self._lock.release()


class ThreadParking(Parking[ThreadWaiter]):
    """The threads that wait for one topic."""

    __slots__ = ("called",)

    def __init__(self, queue: deque[Parking[Any]]) -> None:
        super().__init__(queue)
        self.called = False  # whether a thread that stops waiting shall `resume`
        _parkings.add(self)

    def waiter(self) -> ThreadWaiter:
        return ThreadWaiter(self)

    def call(self) -> None:
        self.called = True
        while True:
            try:
                first = next(iter(self.parked))
            except RuntimeError:  # a thread came or went in this moment
                continue
            except StopIteration:  # all have gone, and found nothing to do
                self.resume()
                return
            first.release()
            return

    def resume(self) -> None:
        self.called = False
        for waiter in self.ready():
            waiter.wake()


_parkings: WeakSet[ThreadParking] = WeakSet()


def _clear_all() -> None:
    """In a forked child: those who waited are threads that exist only in the parent.

    So is the one that was called, if it was, and would have had the parking called again.
    """
    for parking in list(_parkings):
        parking.parked.clear()
        parking.called = False
        parking.queued = parking in parking._queue


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows has no fork)
    os.register_at_fork(after_in_child=_clear_all)
