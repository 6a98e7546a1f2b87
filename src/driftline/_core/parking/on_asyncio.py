"""Parking for asyncio: its own event loop, uvloop and others, with eager tasks or without."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, current_task
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextvars import Context
from functools import partial
from time import monotonic
from types import coroutine
from typing import Any, Final

from driftline._core.parking.base import Parking, Reader
from driftline._core.parking.here import running_loop

_SLICE: Final = 0.005  # seconds for which tasks are woken before the loop gets a turn
_CLOCK: Final = 0b111  # the clock is read for every eighth task


class AsyncioWaiter:
    """What a task yields: an object that follows the protocol of `asyncio.Future`.

    A task that is given an object with `_asyncio_future_blocking` sets that to False, looks at
    its `_loop`, and calls `add_done_callback` with its own wake-up and the context to run it in.
    When woken, it asks for the `result`. When cancelled, it calls `cancel`. All of this happens
    on the loop's own thread. One object serves all waits of a subscription on its loop, so that
    waiting allocates no future.

    `_loop` and `result` are attributes because methods in Python would cost a tenth of a wake-up
    each; `result` is a function in C.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_context",
        "_loop",
        "_parking",
        "_wakeup",
        "loop",
        "reader",
        "result",
    )

    def __init__(self, parking: AsyncioParking) -> None:
        self.reader: Reader | None = None
        self._parking = parking
        self._wakeup: Callable[[AsyncioWaiter], object] = _nobody
        self._context = _NOWHERE
        self.loop: object = parking.loop
        self._loop = parking.loop
        self._asyncio_future_blocking = True
        self.result: Callable[[], object] = _NOTHING

    @coroutine
    def wait(self, reader: Reader) -> Generator[Any, None, None]:
        if reader._reading or self._loop is not running_loop():
            yield from reader._settle().wait(reader)
            return
        reader._reading = True
        self.reader = reader
        try:
            if reader._link.next is not None:
                yield
            while reader._link.next is None:
                yield self
        except BaseException:
            self.leave()
            raise
        finally:
            self.reader = None
            reader._reading = False

    def leave(self) -> None:
        self._parking.leave(self)
        self._wakeup = _nobody
        self._context = _NOWHERE
        self.result = _NOTHING

    def wake(self) -> None:
        self._parking.call(self._wake)

    def _wake(self) -> None:
        if self._parking.leave(self):
            wakeup, self._wakeup = self._wakeup, _nobody
            self._context.run(wakeup, self)

    def add_done_callback(
        self, wakeup: Callable[[AsyncioWaiter], object], *, context: Context
    ) -> None:
        self._asyncio_future_blocking = True  # for the next time
        self._wakeup = wakeup
        self._context = context
        reader = self.reader
        assert reader is not None
        if not self._parking.enter(self, reader):
            self._parking.parked[self] = reader
            self._loop.call_soon(self._wake, context=self._parking.context)

    def done(self) -> bool:
        """Not asked by asyncio; anyio's `wait_all_tasks_blocked` does."""
        return self._wakeup is _nobody

    def cancel(self, msg: object = None) -> bool:
        wakeup = self._wakeup
        if wakeup is _nobody:
            return False  # it has been woken; the task remembers, and cancels when it runs
        context = self._context
        self.leave()
        self.result = partial(_raise, CancelledError() if msg is None else CancelledError(msg))
        self._loop.call_soon(wakeup, self, context=context)
        return True


def _nobody(waiter: AsyncioWaiter) -> None:
    """Stands where no task waits."""


def _raise(error: BaseException) -> None:
    try:
        raise error
    finally:
        del error  # its traceback refers to this frame


_NOWHERE: Final = Context()
_NOTHING: Final = bool  # called without arguments, does nothing


class AsyncioParking(Parking[AsyncioWaiter]):
    """Those who wait for one topic on one asyncio event loop."""

    __slots__ = ("context", "loop")

    def __init__(self, queue: deque[Parking[Any]], loop: AbstractEventLoop) -> None:
        super().__init__(queue)
        self.loop = loop
        self.context = Context()  # so that a publisher's context is neither copied nor kept

    def waiter(self) -> AsyncioWaiter:
        return AsyncioWaiter(self)

    def call(self, callback: Callable[[], object] | None = None) -> None:
        loop = self.loop
        callback = callback or self.resume
        try:
            # Within a task the loop is not about to sleep. Outside of one it may be, even in its
            # own thread: this may be a signal handler or a finalizer on the way into `select`.
            if _runs_a_task(loop):
                loop.call_soon(callback, context=self.context)
            else:
                loop.call_soon_threadsafe(callback, context=self.context)
        except RuntimeError:
            if not loop.is_closed():
                raise

    def resume(self) -> None:
        # Not `ready`, as in the other parkings: to go through a list made before costs a tenth.
        self.queued = False
        parked, self.parked = self.parked, {}
        self._wake(iter(parked.items()))

    def _wake(self, parked: Iterator[tuple[AsyncioWaiter, Reader]]) -> None:
        deadline = monotonic() + _SLICE
        passed = 0
        more = True
        try:
            for waiter, reader in parked:
                wakeup = waiter._wakeup
                if wakeup is _nobody:
                    pass  # it was cancelled in the meantime
                elif reader._link.next is not None or not self.enter(waiter, reader):
                    context = waiter._context
                    waiter._wakeup, waiter._context = _nobody, _NOWHERE  # not to keep the task
                    context.run(wakeup, waiter)
                passed += 1
                if not passed & _CLOCK and monotonic() > deadline:
                    break
            else:
                more = False
        finally:
            # Also after a SystemExit in one of the tasks, which must not leave others asleep.
            if more:
                self.loop.call_soon(self._wake, parked, context=self.context)


def _runs_a_task(loop: AbstractEventLoop) -> bool:
    return running_loop() is loop and current_task(loop) is not None
