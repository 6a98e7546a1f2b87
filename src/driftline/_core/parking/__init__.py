"""Waiting for the next message, and being woken for it.

The problem: a subscriber that has read everything must wait, in an asyncio task, a trio task or a
thread; and a publisher, in any of these or in none, must wake it without waiting for anything,
without a loop over all who wait, and without missing one that is just about to wait.

The model: those who wait for one topic on one event loop stand in one `Parking`, each as a waiter;
threads stand in a parking of their own. A topic has a `WaitingRoom` with a queue of the parkings
that want to be called. Publishing takes them out of the queue and has each, once, `resume`
on its own loop, where it wakes those whose message has come.

Invariants:

J1. Who waits first enters `parked`, then makes sure that the parking is queued, and then looks
    once more whether a message has come. A publisher first links its message and then looks into
    the queue. So either the publisher finds the parking, or the reader finds the message.
J2. `queued` is True from before a parking enters the queue until its `resume` begins. Who finds
    it True may rely on a `resume` that is still to come.
J3. `resume` makes a list of whom to wake before it wakes anybody: what the woken do at once
    (wait again, publish, cancel each other) does not change what it walks over. Who has left
    `parked` by then is passed over.
J4. Being woken consumes nothing: the reader takes its message when it runs. Who is cancelled in
    between has lost nothing, and disturbs nobody.
J5. A topic refers to parkings only through its queue, and the next message empties that. So a
    closed loop or a finished trio run leaves nothing behind.

Rejected: one future shared by all readers (twice as fast, but one cancellation wakes them all); a
new future for each wait, or an object of our own in its place (slower by a third); waking each
reader from `publish()` (a thousand readers cost a thousand times as much); a lock (a finalizer or
signal handler that publishes would wait for itself).
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from driftline._core.hold import Hold
from driftline._core.parking.base import EVERY as EVERY
from driftline._core.parking.base import STEP as STEP
from driftline._core.parking.base import UNSETTLED as UNSETTLED
from driftline._core.parking.base import Parking, TaskWaiter
from driftline._core.parking.here import event_loop_here as event_loop_here
from driftline._core.parking.here import running_loop as running_loop
from driftline._core.parking.here import running_trio
from driftline._core.parking.on_asyncio import AsyncioParking
from driftline._core.parking.on_threads import ThreadParking
from driftline._core.parking.on_threads import ThreadWaiter as ThreadWaiter
from driftline._core.report import report

_THREADS = 0  # no object has this id
_SLICE = 1_000  # messages freed in one step; they may be large


class WaitingRoom:
    """Where the readers of one topic wait, whatever they run on."""

    __slots__ = ("_parkings", "queue")

    def __init__(self) -> None:
        self.queue: deque[Parking[Any]] = deque()
        # By the id of what they wait on, which lives as long as its parking does.
        self._parkings: WeakValueDictionary[int, Parking[Any]] = WeakValueDictionary()

    def wake(self) -> None:
        """Have everybody woken whose message has come, each on its own loop.

        Only one thread at a time may call this: the one that links messages.
        """
        # Not "while": a loop that is quick to wait again would be called for nothing.
        for _ in range(len(self.queue)):
            try:
                self.queue[0].call()  # and only then out of the queue, in case of an interruption
            except Exception as error:
                report(error, "readers on this event loop will be woken with the next message")
                self.queue.rotate(-1)
            else:
                self.queue.popleft()

    def task(self) -> TaskWaiter:
        """Return a new waiter for the event loop that runs the caller.

        Raises:
            RuntimeError: no event loop runs the caller.
        """
        token = running_trio()
        if token is not None:
            from driftline._core.parking.on_trio import TrioParking

            parking = self._parkings.get(id(token))
            if not isinstance(parking, TrioParking):
                parking = self._parkings[id(token)] = TrioParking(self.queue, token)
            return parking.waiter()
        loop = get_running_loop()
        parking = self._parkings.get(id(loop))
        if not isinstance(parking, AsyncioParking):
            parking = self._parkings[id(loop)] = AsyncioParking(self.queue, loop)
        return parking.waiter()

    def thread(self, last: TaskWaiter) -> ThreadWaiter:
        """Return a waiter for a thread: the last one, if it is, or a new one."""
        if isinstance(last, ThreadWaiter):
            return last
        parking = self._parkings.get(_THREADS)
        if not isinstance(parking, ThreadParking):
            parking = self._parkings[_THREADS] = ThreadParking(self.queue)
        return parking.waiter()


def let_go(hold: Hold) -> None:
    """Free what is held; if it is much, in slices, between which the event loop has its turns.

    Where no event loop runs, it is all done here.
    """
    while not hold.free(_SLICE):
        if _soon(partial(let_go, hold)):
            return


def _soon(callback: Callable[[], object]) -> bool:
    """Run a callback soon on the event loop of this thread; return False if there is none."""
    token, loop = running_trio(), running_loop()
    try:
        if token is not None:
            token.run_sync_soon(callback)
        elif loop is not None:
            loop.call_soon(callback)
    except RuntimeError:  # it is just ending
        return False
    return token is not None or loop is not None
