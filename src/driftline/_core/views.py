"""Other ways to read a subscription: in batches, only the newest, or with numbers and times.

A view takes from the subscription itself and keeps nothing, so it can be left and taken up again,
and mixed with others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast

import anyio

from driftline._core.checks import checked_count
from driftline._core.link import END, Hold, Link, after
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
        self._take = take  # may raise `_NotYet`
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
            except anyio.EndOfStream:
                raise StopAsyncIteration from None
            with suppress(_NotYet):
                return self._take()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> V:
        """Return the next item, blocking the thread until it is there."""
        while True:
            try:
                self._subscription._ready_blocking(None)
            except anyio.EndOfStream:
                raise StopIteration from None
            with suppress(_NotYet):
                return self._take()


class _NotYet(Exception):
    """There is more to pass over, after others had their turn."""


def batches(subscription: Subscription[T], max_size: int | None) -> View[list[T]]:
    """See `Subscription.batches`."""
    most = _MOST if max_size is None else checked_count("max_size", max_size, least=1)

    def take() -> list[T]:
        batch = _values(subscription._link, most)
        subscription._move(after(subscription._link, len(batch))[0], received=len(batch))
        return batch

    return View(subscription, take, _ALWAYS)


def latest(subscription: Subscription[T]) -> View[T]:
    """See `Subscription.latest`."""

    def take() -> T:
        if subscription._skip_to_newest(_MOST) == _MOST - 1:  # or more
            raise _NotYet
        return cast(T, subscription._take().link.value)

    return View(subscription, take, _ALWAYS)


def latest_by(subscription: Subscription[T], key: Callable[[T], K]) -> View[dict[K, T]]:
    """See `Subscription.latest_by`."""
    if not callable(key):
        raise TypeError(f"latest_by takes a function from a value to its key, not {key!r}")

    def take() -> dict[K, T]:
        seq = subscription._seq
        pending = _values(subscription._link, _MOST)
        newest = {key(value): value for value in pending}
        if subscription._seq != seq:
            raise RuntimeError("the key of latest_by has read or moved the subscription itself")
        to, count = after(subscription._link, len(pending))
        subscription._move(to, received=len(newest), skipped=count - len(newest))
        return newest

    return View(subscription, take, _ALWAYS)


def messages(subscription: Subscription[T]) -> View[Message[T]]:
    """See `Subscription.messages`."""
    topic = subscription.topic

    def take() -> Message[T]:
        hold = subscription._take()
        published_at = topic._clock + hold.link.time
        return Message(topic.name, subscription._seq, published_at, hold.link.value)

    return View(subscription, take, EVERY)


def _values(link: Link[T], most: int) -> list[T]:
    """Return the messages from this link on, `most` or all there are."""
    found: list[T] = []
    while len(found) < most and link.next is not None and link.next is not END:
        found.append(link.value)
        link = link.next
    hold = Hold(link)
    del link
    hold.free()  # what follows, if whoever kept it has let go in the meantime
    return found
