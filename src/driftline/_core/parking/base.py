"""What the parkings have in common: who stands there, and when the topic is told so."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from driftline._core.link import Link


EVERY: Final = 127  # a mask: of messages that are ready, every 128th is a checkpoint
STEP: Final = 10_000  # messages taken at once, at most; this takes about a millisecond


class Reader(Protocol):
    """A subscription, as far as waiting for its next message goes."""

    _link: Link[Any]  # leads on when there is something to take
    _reading: bool  # whether a task or thread is waiting

    def _has_next(self) -> bool:
        """Return whether there is a message to take. Raises what ends reading."""
        ...

    def _settle(self) -> TaskWaiter:
        """Take and return a new waiter, of the event loop that runs the caller.

        Raises:
            anyio.BusyResourceError: a task or thread is waiting.
            RuntimeError: no event loop runs the caller.
        """
        ...


NO_LOOP: Final = object()


class TaskWaiter:
    """The place in a parking of a subscription that tasks read; used again for each wait.

    A task that runs on `loop` may wait without a call of `wait`, which saves a tenth: it enters
    the parking, then yields `future`, marked as blocking, to the loop. If that ends with an
    exception it calls `leave`.
    """

    __slots__ = ()

    loop: object = NO_LOOP  # an event loop of asyncio, or no loop at all
    parking: Any
    future: Any  # only if there is a loop

    def leave(self) -> None:
        """Stand in the parking no more."""
        raise NotImplementedError

    def wait(self, reader: Reader) -> Any:
        """Return when the reader's link leads on, and not before others had a chance to run.

        To be awaited, or delegated to with `yield from`, for which there is no type.

        Meanwhile its `_reading` is True. A cancelled wait has changed nothing. Raises what
        `Reader._settle` does.
        """
        return reader._settle().wait(reader)

    def wake(self) -> None:
        """Wake whoever stands here. From any thread."""
        raise NotImplementedError


class Unsettled(TaskWaiter):
    """Where a subscription waits that has not been read yet: where it is read first."""

    __slots__ = ()


UNSETTLED: Final = Unsettled()

W = TypeVar("W")


class Parking(Generic[W]):
    """Those who wait for one topic in one place."""

    __slots__ = ("__weakref__", "_queue", "parked", "queued")

    def __init__(self, queue: deque[Parking[Any]]) -> None:
        self._queue = queue
        self.parked: dict[W, Reader] = {}
        self.queued = False

    def call(self) -> None:
        """Have `resume` run soon where those who stand here run. From any thread.

        Does nothing when that place exists no more.
        """
        raise NotImplementedError

    def enter(self, waiter: W, reader: Reader) -> bool:
        """Stand here; return False, standing no more, if the reader's message has come (J1)."""
        self.parked[waiter] = reader
        if not self.queued:
            self.enqueue()
        if reader._link.next is None:
            return True
        self.leave(waiter)
        return False

    def leave(self, waiter: W) -> bool:
        """Stand here no more; return False if the waiter has been picked to be woken."""
        return self.parked.pop(waiter, None) is not None

    def ready(self) -> list[W]:
        """Return those whose message has come, having queued again for the others."""
        self.queued = False
        while True:
            parked = self.parked.copy()  # in one step, while threads come and go
            ready = [waiter for waiter, reader in parked.items() if reader._link.next is not None]
            if len(ready) == len(parked) or self.queued:
                return ready
            self.enqueue()  # and look again, by J1

    def enqueue(self) -> None:
        self.queued = True
        self._queue.append(self)
