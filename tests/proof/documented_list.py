"""The rivals that must fail: linked lists with the defects that driftline is made to avoid.

`DocumentedList` is the class `PubSub` of "Broadcasting messages" in the documentation of
websockets, by Aymeric Augustin, to which driftline owes its idea. The page shows the shape, not a
library; the tests hold it to promises that it never made.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class DocumentedList:
    """The twelve lines, word for word but for the kind of future.

    The explorer of threads sees Python code only, so for it the future is `PlainFuture`.
    """

    def __init__(self, future: Callable[[], Any] = asyncio.Future) -> None:
        self.future = future
        self.waiter = future()

    def publish(self, value: object) -> None:
        waiter, self.waiter = self.waiter, self.future()
        waiter.set_result((value, self.waiter))

    async def subscribe(self) -> AsyncIterator[Any]:
        waiter = self.waiter
        while True:
            value, waiter = await waiter
            yield value

    __aiter__ = subscribe


class PlainFuture:
    """As much of a future as `DocumentedList.publish` needs, in Python."""

    def __init__(self) -> None:
        self.result: tuple[Any, PlainFuture] | None = None

    def set_result(self, result: tuple[Any, PlainFuture]) -> None:
        if self.result is not None:
            raise asyncio.InvalidStateError("invalid state")
        self.result = result

    def values(self) -> list[Any]:
        """Return everything that a reader standing here could get."""
        found = []
        future = self
        while future.result is not None:
            value, future = future.result
            found.append(value)
        return found


class Link:
    """One place in a `LockedList`. A hook may watch links being made."""

    hook: Callable[[], object] | None = None

    def __init__(self) -> None:
        self.value: Any = None
        self.next: Link | None = None
        if (hook := Link.hook) is not None:
            Link.hook = None
            hook()


class LockedList:
    """A list whose publish holds a lock, as most people would write it.

    A finalizer or a signal handler that publishes may run in the middle of `publish`. With a
    `Lock` it then waits for itself; with an `RLock` it links its message where the outer call is
    about to link its own.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self.lock = lock
        self.head = self.tail = Link()

    def publish(self, value: object) -> None:
        with self.lock:
            link = self.tail
            following = Link()
            link.value = value
            link.next = following
            self.tail = following

    def values(self) -> list[Any]:
        """Return everything that was linked."""
        found = []
        link = self.head
        while link.next is not None:
            found.append(link.value)
            link = link.next
        return found


class InboxList(LockedList):
    """The way that holds: whoever gets the lock links everything, and nobody waits for it.

    A message is accepted when it is in the inbox. Who finds the lock taken may leave, because its
    holder looks into the inbox once more after letting go.
    """

    def __init__(self) -> None:
        super().__init__(nullcontext())
        self.inbox: deque[object] = deque()
        self.linking = threading.Lock()

    def publish(self, value: object) -> None:
        self.inbox.append(value)
        while self.inbox and self.linking.acquire(blocking=False):
            try:
                while self.inbox:
                    super().publish(self.inbox.popleft())
            finally:
                self.linking.release()
