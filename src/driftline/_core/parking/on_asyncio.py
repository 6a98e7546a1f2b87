"""Parking for asyncio: its own event loop, uvloop and others, with eager tasks or without.

A task that waits awaits an `asyncio.Future` that is its subscription's own, so cancelling the task
touches nobody else. The future is never given a result. Whoever wakes the task takes the task's
callback back from the future and calls it, in its context, with another future that is done. So the
loop has no call to schedule for each reader, and the next wait uses the same future again.

This was measured to be half as dear as an object of our own in place of the future: asyncio deals
with an exact `asyncio.Future` in C, without a look-up.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, current_task
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context
from functools import partial
from time import monotonic
from types import coroutine
from typing import Any, Final

from driftline._core.parking.base import Parking, Reader, TaskWaiter
from driftline._core.parking.here import running_loop

_SLICE: Final = 0.002  # seconds for which tasks are woken before the loop gets a turn
_CLOCK: Final = 8  # tasks between two looks at the clock, while they are quick
_QUICK: Final = _SLICE / 8  # seconds that so many take then


class AsyncioWaiter(TaskWaiter):
    """Where a subscription waits that tasks of one asyncio event loop read."""

    __slots__ = ("future", "loop", "parking")

    def __init__(self, parking: AsyncioParking) -> None:
        self.parking = parking
        self.loop: object = parking.loop
        self.future: Future[None] = Future(loop=parking.loop)

    @coroutine
    def wait(self, reader: Reader) -> Generator[Any, None, None]:
        if reader._reading or self.loop is not running_loop():
            yield from reader._settle().wait(reader)
            return
        reader._reading = True
        try:
            if reader._link.next is not None:
                yield
            while reader._link.next is None:
                if self.parking.enter(self, reader):
                    self.future._asyncio_future_blocking = True
                    yield self.future
                    if self.future.cancelled():  # while the task was being woken
                        self.future.result()
        except BaseException:
            self.leave()
            raise
        finally:
            reader._reading = False

    def leave(self) -> None:
        self.parking.leave(self)
        self.future = Future(loop=self.parking.loop)  # the old one may be cancelled

    def wake(self) -> None:
        self.parking.call(self._wake)

    def _wake(self) -> None:
        if self.parking.leave(self):
            self.run()

    def run(self) -> None:
        """Let the task go on, at once, if one waits and was not cancelled."""
        future = self.future
        for wakeup, context in future._callbacks or ():
            try:
                if future.remove_done_callback(wakeup):  # otherwise it was cancelled just now
                    context.run(wakeup, self.parking.done)
            except BaseException:
                self.undo(wakeup, context)
                raise

    def undo(self, wakeup: Any, context: Context) -> None:
        """Give the task's callback back, if a signal handler raised just before it was called."""
        if wakeup.__self__._fut_waiter is self.future and not self.future._callbacks:
            self.future.add_done_callback(wakeup, context=context)


class AsyncioParking(Parking[AsyncioWaiter]):
    """Those who wait for one topic on one asyncio event loop."""

    __slots__ = ("_waking", "context", "done", "loop")

    def __init__(self, queue: deque[Parking[Any]], loop: AbstractEventLoop) -> None:
        super().__init__(queue)
        self.loop = loop
        self.context = Context()  # so that a publisher's context is neither copied nor kept
        self.done: Future[None] = Future(loop=loop)
        self.done.set_result(None)
        self._waking: deque[tuple[AsyncioWaiter, Reader]] = deque()

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

    def resume(self, *, begin: bool = True) -> None:
        # Not `ready`, as in the other parkings: to go through a list made before costs a tenth.
        try:
            if begin:
                self.queued = False
                # Nobody is ever in neither of the two, and to be in both does no harm.
                self._waking.extend(self.parked.items())
                self.parked.clear()
            self._wake()
        except BaseException:
            # A SystemExit in one of the tasks, or of a signal handler in the middle of this, must
            # not leave others asleep.
            self.loop.call_soon(self.resume, context=self.context)
            raise

    def _wake(self) -> None:
        looked = monotonic()
        deadline = looked + _SLICE
        passed, next_look = 0, 1
        while self._waking:
            waiter, reader = self._waking[0]
            future = waiter.future
            callbacks = future._callbacks
            if not callbacks:
                pass  # it was cancelled in the meantime
            elif reader._link.next is not None or not self.enter(waiter, reader):
                # Like `waiter.run()`, without the price of a call.
                for wakeup, context in callbacks:
                    try:
                        if future.remove_done_callback(wakeup):
                            context.run(wakeup, self.done)
                    except BaseException:
                        waiter.undo(wakeup, context)
                        raise
            self._waking.popleft()
            passed += 1
            if passed == next_look and self._waking:
                now = monotonic()
                if now > deadline:
                    self.loop.call_soon(partial(self.resume, begin=False), context=self.context)
                    return
                next_look += _CLOCK if now - looked < _QUICK else 1
                looked = now


def _runs_a_task(loop: AbstractEventLoop) -> bool:
    return running_loop() is loop and current_task(loop) is not None
