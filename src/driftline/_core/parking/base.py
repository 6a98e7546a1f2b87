"""What the parkings have in common: who stands there, and when the topic is told so."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from driftline._core.link import Link


class Reader(Protocol):
    """Whoever waits until its link leads on."""

    _link: Link[Any]


class Waiter(Protocol):
    """The place of one subscription in a parking, used again for each wait."""

    def wake(self) -> None:
        """Wake whoever waits here, if anybody does. From any thread."""


class TaskWaiter(Waiter, Protocol):
    """The place of a subscription that a task reads."""

    def here(self) -> bool:
        """Return whether the caller runs on the event loop of this waiter."""

    def wait(self, reader: Reader) -> Awaitable[None]:
        """Wait until the reader's link leads on. A cancelled wait has changed nothing."""

    def checkpoint(self) -> Awaitable[None]:
        """Let other tasks run."""


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
            self._enqueue()
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
            self._enqueue()  # and look again, by J1

    def _enqueue(self) -> None:
        self.queued = True
        self._queue.append(self)
