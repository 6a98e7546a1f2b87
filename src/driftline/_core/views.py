"""Other ways to read a subscription: in batches, only the newest, or with numbers and times.

A view takes from the subscription itself and keeps nothing, so it can be left and taken up again,
and mixed with others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import anyio

from driftline._core.checks import checked_count
from driftline._core.hold import Hold, read
from driftline._core.message import Message
from driftline._core.parking import EVERY, STEP
from driftline._core.tolerance import NotYet

if TYPE_CHECKING:
    from driftline._core.subscription import Subscription

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)

_ALWAYS: Final = 0  # a mask: every time


class View(Generic[V]):
    """A way to read a subscription, for `async for` in a task or `for` in a thread.

    A topic closed without error ends the iteration. Otherwise it raises what
    `Subscription.receive` does: `Lagged` and `SlowConsumer`, too.
    """

    __slots__ = ("_every", "_subscription", "_take")

    def __init__(self, subscription: Subscription[Any], take: Callable[[], V], every: int) -> None:
        """Not for users: the methods of `Subscription` make views."""
        self._subscription = subscription
        self._take = take  # may raise `NotYet`
        self._every = every

    def __aiter__(self) -> Self:
        return self

    @coroutine
    def __anext__(self) -> Generator[Any, Any, V]:
        """Return the next item, waiting for it. A cancelled call has consumed nothing."""
        subscription = self._subscription
        while True:
            if not subscription._link.next or not subscription._received & self._every:
                yield from subscription._waiter.wait(subscription)
            if subscription._has_next(StopAsyncIteration):
                try:
                    return self._take()
                except NotYet:
                    pass

    def receive_nowait(self) -> V:
        """Return the next item if it is there, or raise as `Subscription.receive_nowait` does."""
        subscription = self._subscription
        while True:
            subscription._refuse_if_busy()
            if not subscription._has_next():
                raise anyio.WouldBlock
            try:
                return self._take()
            except NotYet:
                pass

    def receive_blocking(self, timeout: float | None = None) -> V:
        """Return the next item, blocking the thread, as `Subscription.receive_blocking` does."""
        return self._subscription._take_blocking(timeout, self._take)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> V:
        """Return the next item, blocking the thread until it is there."""
        try:
            return self.receive_blocking()
        except anyio.EndOfStream:
            raise StopIteration from None


def batches(subscription: Subscription[T], max_size: int | None) -> View[list[T]]:
    """See `Subscription.batches`."""
    most = STEP if max_size is None else checked_count("max_size", max_size, least=1)

    def take() -> list[T]:
        start = Hold(subscription._link)
        batch, to = read(start, min(most, subscription._ahead))
        if not batch:
            raise NotYet
        subscription._move(start, to, received=len(batch))
        return batch

    return View(subscription, take, _ALWAYS)


def latest(subscription: Subscription[T]) -> View[T]:
    """See `Subscription.latest`."""

    def take() -> T:
        subscription.skip_to_latest()
        return subscription._take()[0]

    return View(subscription, take, _ALWAYS)


def latest_by(subscription: Subscription[T], key: Callable[[T], K]) -> View[dict[K, T]]:
    """See `Subscription.latest_by`."""
    if not callable(key):
        raise TypeError(f"latest_by takes a function from a value to its key, not {key!r}")

    def take() -> dict[K, T]:
        seq, start = subscription._seq, Hold(subscription._link)
        pending, to = read(start, min(STEP, subscription._ahead))
        newest = {key(value): value for value in pending}
        if subscription._seq != seq:
            raise RuntimeError("the key of latest_by has read or moved the subscription itself")
        if not newest:
            raise NotYet
        subscription._move(start, to, received=len(newest), skipped=len(pending) - len(newest))
        return newest

    return View(subscription, take, _ALWAYS)


def messages(subscription: Subscription[T]) -> View[Message[T]]:
    """See `Subscription.messages`."""
    topic = subscription.topic

    def take() -> Message[T]:
        hold = Hold(subscription._link)
        value, time = subscription._take()
        name, seq = getattr(hold.link, "origin", (topic.name, subscription._seq))
        return Message(name, seq, topic._clock + time, value)

    return View(subscription, take, EVERY)
