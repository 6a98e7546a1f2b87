"""A subscription: a cursor on a topic's chain, for one reader at a time.

Invariants:

S1. `_link` is the first link that was not read; what was read is not referred to. After `close`
    it is `CLOSED`, which leads to `END` like the last link of a closed topic.
S2. The position is where the subscription started plus what it received plus what it skipped. A
    counter changes in the same step as `_link`, with no chance for a cancellation in between.
    Who moves `_link` looks at `_closed` afterwards, because any thread may close.
S3. No frame that can be kept by a traceback (one that awaits or raises) has a link in a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from types import coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

import anyio
from anyio.abc import ObjectReceiveStream

from driftline._core import views
from driftline._core.checks import check_name, checked_count
from driftline._core.link import CLOSED, END, Hold, Link, read
from driftline._core.message import Message
from driftline._core.parking import EVERY, STEP, UNSETTLED, ThreadWaiter, let_go, running_loop
from driftline._core.visible import Visible

if TYPE_CHECKING:
    from driftline._core.parking.base import TaskWaiter
    from driftline._core.topic import Topic

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Subscription(Visible[T], ObjectReceiveStream[T]):
    """A reader's own place in a topic, made by `Topic.subscribe`.

    It is a stream in the sense of anyio: iterate it with `async for` in a task of asyncio or
    trio, or with `for` in a thread, or call `receive` and its kin. `batches`, `latest`,
    `latest_by` and `messages` are other ways to read the same place: what one of them has taken,
    the others do not see.

    Delivery: each message once, in the topic's order. Whatever happens to a subscription, no
    other notices.

    Threads: one task or thread reads at a time; one that would have to wait while another waits
    gets `anyio.BusyResourceError`. It may be another one each time, on another event loop too.
    That two threads read ready messages in the same moment is not noticed, and not safe: give
    each a `fork`. The properties, `statistics()` and `close()` work from any thread.

    Fairness: reading what is ready does not wait, but lets other tasks run after every 128
    messages, so that a long backlog, or a reader that publishes what it reads, does not hold the
    event loop.
    """

    __slots__ = (
        "_closed",
        "_link",
        "_name",
        "_reading",
        "_received",
        "_skipped",
        "_start",
        "_topic",
        "_waiter",
    )

    _link: Link[T]
    _waiter: TaskWaiter | ThreadWaiter  # of whoever read last

    def __init__(self, topic: Topic[T], link: Link[T], seq: int, name: str | None) -> None:
        """Not for users: `Topic.subscribe` makes subscriptions."""
        self._topic = topic
        self._link = link
        self._name = name
        self._start = seq
        self._received = 0
        self._skipped = 0
        self._closed = False
        self._reading = False  # whether a task or thread waits
        self._waiter = UNSETTLED

    # Reading.

    async def receive(self) -> T:
        """Return the next message, waiting until there is one.

        Cancellation: safe; a cancelled call has consumed nothing. A checkpoint when it has to
        wait, and at least once in 128 messages. Cost: constant.

        Raises:
            anyio.EndOfStream: the topic was closed, and everything was read.
            anyio.BrokenResourceError: the topic was closed with an error, which is the cause,
                and everything was read.
            anyio.ClosedResourceError: the subscription was closed.
            anyio.BusyResourceError: another task or thread is waiting for this subscription.
            RuntimeError: this is not a task of asyncio or trio.
        """
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    @coroutine
    def __anext__(self) -> Generator[Any, Any, T]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Like `receive`, but a topic closed without error ends the iteration."""
        # A generator that yields to the event loop itself: each coroutine in between would cost a
        # tenth of a wake-up. To make a task of one step, use `receive`.
        link = self._link
        following = link.next
        if following is None or following is END or not self._received & EVERY:
            del link  # S3
            waiter = self._waiter
            if following is None and waiter.loop is running_loop() and not self._reading:
                self._reading = True
                try:
                    parking = waiter.parking
                    parking.parked[waiter] = self  # like `enter`, without the price of a call
                    if not parking.queued:
                        parking.enqueue()
                    if self._link.next is None:
                        waiter.future._asyncio_future_blocking = True
                        yield waiter.future
                    else:
                        parking.leave(waiter)
                except BaseException:
                    waiter.leave()
                    raise
                finally:
                    self._reading = False
            if following is not None or self._link.next is None:
                yield from waiter.wait(self)
            link = self._link
            following = link.next
            if following is END:
                raise self._end(StopAsyncIteration)
        self._link = following  # type: ignore[assignment]
        self._received += 1
        if self._closed:  # in this moment, by another thread
            hold = Hold(link)
            del link, following
            self._forget()
            return cast(T, hold.link.value)
        return link.value

    def receive_nowait(self) -> T:
        """Return the next message if it is there.

        Raises:
            anyio.WouldBlock: there is none yet.
            anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError,
            anyio.BusyResourceError: as for `receive`.
        """
        self._refuse_if_busy()
        if not self._has_next():
            raise anyio.WouldBlock
        return cast(T, self._take().link.value)

    def receive_blocking(self, timeout: float | None = None) -> T:
        """Return the next message, blocking the thread until there is one.

        Args:
            timeout: seconds to wait at most; None is for ever, 0 or less is not at all.

        Raises:
            TimeoutError: there was no message in time; nothing was consumed.
            RuntimeError: it would have to wait in a thread that runs an event loop, where the
                loop could not go on. Use `await receive()` there.
            anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError,
            anyio.BusyResourceError: as for `receive`.
        """
        self._ready_blocking(timeout)
        return cast(T, self._take().link.value)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Like `receive_blocking()`, but a topic closed without error ends the iteration."""
        try:
            self._ready_blocking(None)
        except anyio.EndOfStream:
            raise StopIteration from None
        return cast(T, self._take().link.value)

    # Other ways to read.

    def batches(self, max_size: int | None = None) -> views.View[list[T]]:
        """Iterate over lists of everything that is ready, waiting once for each list.

        Args:
            max_size: messages in a list at most, 1 or more. Without it a list has 10,000 at
                most, so that a long backlog comes in several, between which other tasks run.
        """
        return views.batches(self, max_size)

    def latest(self) -> views.View[T]:
        """Iterate over the newest message each time. Those passed over count as skipped."""
        return views.latest(self)

    def latest_by(self, key: Callable[[T], K]) -> views.View[dict[K, T]]:
        """Iterate over dictionaries of the newest message for each key since the last time.

        Each has what up to 10,000 messages leave. Those replaced by newer ones count as skipped.

        Args:
            key: returns what a message is about. If it raises, iterating raises that, and none
                of these messages is consumed; to pass over the first of them, `skip(1)`.
        """
        return views.latest_by(self, key)

    def messages(self) -> views.View[Message[T]]:
        """Iterate over messages with their topic, number and time."""
        return views.messages(self)

    # Moving.

    def skip(self, n: int) -> int:
        """Pass over the next `n` messages, or what there is of them, and return how many.

        Cost: linear in what is passed over, in one step: some tenths of a second for a million.

        Raises:
            ValueError: `n` is negative.
            anyio.ClosedResourceError: the subscription was closed.
        """
        checked_count("n", n, least=0)
        if self._closed:
            raise self._end()
        skipped = self._skipped
        while n > 0 and self.lag:
            start = Hold(self._link)
            values, to = read(start, min(n, self._ahead, STEP))
            self._move(start, to, skipped=len(values))
            n -= len(values) or n
        return self._skipped - skipped

    def skip_to_latest(self) -> int:
        """Pass over all messages but the newest, and return how many.

        Cost: as for `skip`; `latest` does the same in slices.

        Raises:
            anyio.ClosedResourceError: the subscription was closed.
        """
        return self.skip(max(0, self.lag - 1))

    def fork(self, *, name: str | None = None) -> Subscription[T]:
        """Return another subscription at the same place, for somebody else to read.

        Cost: constant, whatever the lag.

        Raises:
            anyio.ClosedResourceError: the subscription was closed.
        """
        check_name("subscription", "" if name is None else name)
        seq, link = self._seq, self._link
        if link is CLOSED:
            raise self._end()
        return self._topic._subscription(link, seq, name)

    def close(self) -> None:
        """Stop reading, and free what nobody else still has to read.

        Whoever waits for this subscription gets `anyio.ClosedResourceError`, and so does whoever
        reads it later. Closing again does nothing. From any thread.

        Cost: linear in the lag, unless others are as far behind. In an event loop a long backlog
        is freed in slices, between which other tasks run; elsewhere before this returns.
        """
        if not self._closed:
            self._closed = True
            self._forget()
            if self._reading:
                self._waiter.wake()

    async def aclose(self) -> None:
        """Like `close`, for `async with`. Not a checkpoint."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_link"):  # otherwise it was never made
            self._forget()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a subscription cannot be copied or pickled; see fork() and position")

    # How it is done.

    def _settle(self) -> TaskWaiter:
        """Return a waiter for where this is read now, unless somebody is reading."""
        self._refuse_if_busy()
        waiter = self._waiter = self._topic._waiting.task()
        return waiter

    def _ready_blocking(self, timeout: float | None) -> None:
        self._refuse_if_busy()
        if not self._has_next():
            waiter = self._waiter = self._topic._waiting.thread(self._waiter)
            waiter.block(self, timeout)

    def _has_next(self) -> bool:
        """Return whether there is a message to take; raise if there will be none any more."""
        if self._link.next is None and self._topic._inbox:
            self._topic._link_inbox()  # an interrupted publisher may have left some
        following = self._link.next  # read once: it may change at any moment
        if following is END:
            raise self._end()
        return following is not None

    def _end(self, regular: type[Exception] = anyio.EndOfStream) -> Exception:
        """Return what to raise at the end: `regular`, unless there is a reason for another."""
        if self._closed:
            return anyio.ClosedResourceError(f"{self!r} was closed")
        error = self._link.value
        if error is None:
            return regular()
        broken = anyio.BrokenResourceError(f"the topic {self._topic.name!r} failed: {error!r}")
        broken.__cause__ = error  # type: ignore[assignment]
        return broken

    def _refuse_if_busy(self) -> None:
        if self._reading:
            raise anyio.BusyResourceError("reading from")

    def _take(self) -> Hold:
        """Move on, and return the message. Raise if another thread closes just now."""
        hold = Hold(self._link)
        if hold.link is CLOSED:
            raise self._end()
        self._link = hold.link.next or END
        self._received += 1
        if self._closed:
            self._forget()
        return hold

    def _move(self, start: Hold, to: Hold, *, received: int = 0, skipped: int = 0) -> None:
        self._link = to.link
        self._received += received
        self._skipped += skipped
        let_go(start)
        if self._closed and self._link is not CLOSED:
            self._forget()

    def _forget(self) -> None:
        self._move(Hold(self._link), Hold(CLOSED))
