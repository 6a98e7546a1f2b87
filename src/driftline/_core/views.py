"""Other ways to read a subscription: in batches, only the newest, or with numbers and times.

A view takes from the subscription itself and keeps nothing, so it can be left and taken up again,
and mixed with others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import anyio

from driftline._core.link import END, after, values
from driftline._core.message import Message
from driftline._core.parking import EVERY

if TYPE_CHECKING:
    from driftline._core.subscription import Subscription

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)

_ALWAYS: Final = 0  # a mask: every time
_MOST: Final = 10_000  # messages taken in one step; they take about a millisecond


class View(Generic[V]):
    """A way to read a subscription, for `async for` in a task or `for` in a thread."""

    __slots__ = ("_every", "_subscription", "_take")

    def __init__(self, subscription: Subscription[Any], take: Callable[[], V], every: int) -> None:
        """Not for users: the methods of `Subscription` make views."""
        self._subscription = subscription
        self._take = take  # raises `anyio.WouldBlock` to go on when others had their turn
        self._every = every

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> V:
        """Return the next item, waiting for it. A cancelled call has consumed nothing."""
        subscription = self._subscription
        while True:
            ready = subscription._link.next not in (None, END)
            try:
                if not (ready and subscription._received & self._every):
                    await subscription._waiter.wait(subscription)
                    subscription._has_next()
                return self._take()
            except anyio.WouldBlock:
                continue
            except anyio.EndOfStream:
                raise StopAsyncIteration from None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> V:
        """Return the next item, blocking the thread until it is there."""
        while True:
            try:
                self._subscription._ready_blocking(None)
                return self._take()
            except anyio.WouldBlock:
                continue
            except anyio.EndOfStream:
                raise StopIteration from None


def batches(subscription: Subscription[T], max_size: int | None) -> View[list[T]]:
    """See `Subscription.batches`."""
    most = _MOST if max_size is None else checked_count("max_size", max_size, least=1)

    def take() -> list[T]:
        batch = values(subscription._link, most)
        subscription._move(after(subscription._link, most)[0], received=len(batch))
        return batch

    return View(subscription, take, _ALWAYS)


def latest(subscription: Subscription[T]) -> View[T]:
    """See `Subscription.latest`."""

    def take() -> T:
        if subscription._skip_to_newest(_MOST) == _MOST - 1:  # or more
            raise anyio.WouldBlock
        return subscription._take().value

    return View(subscription, take, _ALWAYS)


def latest_by(subscription: Subscription[T], key: Callable[[T], K]) -> View[dict[K, T]]:
    """See `Subscription.latest_by`."""
    if not callable(key):
        raise TypeError(f"latest_by takes a function from a value to its key, not {key!r}")

    def take() -> dict[K, T]:
        pending = values(subscription._link, _MOST)
        newest = {key(value): value for value in pending}
        skipped = len(pending) - len(newest)
        after_them = after(subscription._link, len(pending))[0]
        subscription._move(after_them, received=len(newest), skipped=skipped)
        return newest

    return View(subscription, take, _ALWAYS)


def messages(subscription: Subscription[T]) -> View[Message[T]]:
    """See `Subscription.messages`."""
    topic = subscription.topic

    def take() -> Message[T]:
        link = subscription._take()
        return Message(topic.name, subscription._seq, topic._clock + link.time, link.value)

    return View(subscription, take, EVERY)


def checked_count(name: str, value: int, *, least: int) -> int:
    """Return a number of messages that an argument gives, if it is one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a number of messages, an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a number of messages, {least} or more, not {value}")
    return value
