"""Parking for asyncio: its own event loop, uvloop and others, with eager tasks or without."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, current_task, get_running_loop
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context
from time import monotonic
from types import coroutine
from typing import Any, Final

from driftline._core.parking.base import Parking, Reader

_SLICE: Final = 0.002  # seconds for which tasks are woken before the loop gets a turn
_CLOCK: Final = 0b111  # the clock is read for every eighth task


def _nobody(waiter: AsyncioWaiter) -> None:
    """Stands where no task waits."""


class AsyncioWaiter:
    """What a task awaits: an object that follows the protocol of `asyncio.Future`.

    A task that is given an object with `_asyncio_future_blocking` calls `add_done_callback` with
    its own wake-up and the context to run it in, and when woken asks for the `result`. A task
    that is cancelled calls `cancel`. All of this happens on the loop's own thread. One object
    serves all waits of a subscription on its loop, so that waiting allocates no future.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_parking")

    def __init__(self, parking: AsyncioParking) -> None:
        self._parking = parking
        self._callback: Callable[[AsyncioWaiter], object] = _nobody
        self._context = Context()
        self._asyncio_future_blocking = False
        self._cancelled: CancelledError | None = None

    def here(self) -> bool:
        try:
            return get_running_loop() is self._parking.loop
        except RuntimeError:
            return False

    @coroutine
    def wait(self, reader: Reader) -> Generator[AsyncioWaiter, None, None]:
        parking = self._parking
        if not parking.enter(self, reader):
            return
        self._asyncio_future_blocking = True
        try:
            yield self
        except BaseException:
            parking.leave(self)
            raise
        finally:
            self._callback = _nobody  # so that the task is not kept

    @coroutine
    def checkpoint(self) -> Generator[None, None, None]:
        yield

    def wake(self) -> None:
        self._parking.call(self._wake)

    def _wake(self) -> None:
        if self._parking.leave(self):
            self.resume()

    def resume(self) -> None:
        """Run the task up to its next wait. The waiter has left the parking before."""
        self._context.run(self._callback, self)

    # The protocol of asyncio.Future, as far as tasks use it.

    def get_loop(self) -> AbstractEventLoop:
        return self._parking.loop

    def add_done_callback(
        self, callback: Callable[[AsyncioWaiter], object], *, context: Context
    ) -> None:
        self._callback = callback
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        if not self._parking.leave(self):
            return False  # it is being woken; the task remembers, and cancels when it runs
        self._cancelled = CancelledError() if msg is None else CancelledError(msg)
        self._parking.loop.call_soon(self._callback, self, context=self._context)
        return True

    def result(self) -> None:
        if self._cancelled is not None:
            cancelled, self._cancelled = self._cancelled, None
            raise cancelled


class AsyncioParking(Parking[AsyncioWaiter]):
    """Those who wait for one topic on one asyncio event loop."""

    __slots__ = ("_context", "loop")

    def __init__(self, queue: deque[Parking[Any]], loop: AbstractEventLoop) -> None:
        super().__init__(queue)
        self.loop = loop
        self._context = Context()  # so that a publisher's context is neither copied nor kept

    def waiter(self) -> AsyncioWaiter:
        return AsyncioWaiter(self)

    def call(self, callback: Callable[[], object] | None = None) -> None:
        loop = self.loop
        callback = callback or self.resume
        try:
            # Within a task the loop is not about to sleep. Outside of one it may be, even in its
            # own thread: this may be a signal handler or a finalizer on the way into `select`.
            if _runs_a_task(loop):
                loop.call_soon(callback, context=self._context)
            else:
                loop.call_soon_threadsafe(callback, context=self._context)
        except RuntimeError:
            if not loop.is_closed():
                raise

    def resume(self) -> None:
        self._wake(self.ready())

    def _wake(self, waiters: list[AsyncioWaiter]) -> None:
        deadline = monotonic() + _SLICE
        passed = 0
        try:
            for waiter in waiters:
                passed += 1
                if self.leave(waiter):
                    waiter.resume()
                if not passed & _CLOCK and monotonic() > deadline:
                    break
        finally:
            # Also after a SystemExit in one of the tasks, which must not leave others asleep.
            if passed < len(waiters):
                self.loop.call_soon(self._wake, waiters[passed:], context=self._context)


def _runs_a_task(loop: AbstractEventLoop) -> bool:
    try:
        return get_running_loop() is loop and current_task(loop) is not None
    except RuntimeError:
        return False
