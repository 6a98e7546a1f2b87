"""A subscription: a cursor on a topic's chain, for one reader at a time.

Invariants:

S1. `_link` is the first link that was not read; what was read is not referred to. After `close`
    it is `CLOSED`, which leads to `END` like the last link of a closed topic.
S2. The position is where the subscription started plus what it received, missed and skipped. A
    counter changes in the same step as `_link`, just before it, with no chance for a cancellation
    in between. Who moves `_link` looks at `_closed` afterwards, because any thread may close.
S3. No frame that can be kept by a traceback (one that awaits or raises) has a link in a variable.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable
from types import coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

import anyio
from anyio.abc import ObjectReceiveStream

from driftline._core import views
from driftline._core.checks import check_name, checked_count, checked_seconds
from driftline._core.errors import busy, end_of
from driftline._core.hold import Hold
from driftline._core.link import CLOSED, END, Link
from driftline._core.message import Message, Position
from driftline._core.parking import EVERY, UNSETTLED, ThreadWaiter, let_go, running_loop
from driftline._core.places import Place
from driftline._core.tolerance import NotYet, Tolerance, Tolerant

if TYPE_CHECKING:
    from driftline._core.parking.base import TaskWaiter
    from driftline._core.topic import Topic

T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K", bound=Hashable)


class Subscription(Tolerant[T], ObjectReceiveStream[T]):
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

    __slots__ = ("_reading", "_waiter")

    _waiter: TaskWaiter | ThreadWaiter  # of whoever read last

    def __init__(
        self, topic: Topic[T], link: Link[T], seq: int, name: str | None, tolerance: Tolerance
    ) -> None:
        """Not for users: `Topic.subscribe` makes subscriptions."""
        self._untold = 0  # before it has a link, of which `__del__` lets go
        super().__init__(topic, link, seq, name)
        self._tolerate(*tolerance)
        self._reading = False  # whether a task or thread waits
        self._waiter = UNSETTLED

    # Reading.

    async def receive(self) -> T:
        """Return the next message, waiting until there is one.

        Cancellation: safe; a cancelled call has consumed nothing. A checkpoint when it has to
        wait, and at least once in 128 messages. Cost: constant.

        Raises:
            Lagged: messages were missed, and `on_lag` is "raise"; it can be read on.
            SlowConsumer: messages were missed, and `on_lag` is "close"; it was closed.
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
        if not following or not self._received & self._mask:
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
                        if waiter.future.cancelled():  # while the task was being woken
                            waiter.future.result()
                    else:
                        parking.leave(waiter)
                except BaseException:
                    waiter.leave()
                    raise
                finally:
                    self._reading = False
            elif not following or not self._received & EVERY:
                following = None
                yield from waiter.wait(self)
            following = None  # S3
            if not self._link.next or not self._mask:
                while not self._has_next(StopAsyncIteration):
                    yield from self._waiter.wait(self)
            link = self._link
            following = link.next
            if not following:  # cut off since it was looked at, its message not yet taken away
                link = following = Hold(link)  # type: ignore[assignment]
                del link, following  # S3
                return (yield from self.__anext__())  # pyright: ignore[reportGeneralTypeIssues]
        try:
            value = link.value
        except AttributeError:  # cut off in this moment
            link = following = Hold(following)  # type: ignore[assignment]
            del link, following  # S3
            return (yield from self.__anext__())  # pyright: ignore[reportGeneralTypeIssues]
        self._received += 1
        self._link = following
        if self._closed:  # in this moment, by another thread
            link, following = Hold(link), None  # type: ignore[assignment]
            self._forget()
        return value

    def receive_nowait(self) -> T:
        """Return the next message if it is there.

        Raises:
            anyio.WouldBlock: there is none yet.
            Lagged, SlowConsumer: as for `receive`, and so are its errors of anyio.
        """
        while True:
            self._refuse_if_busy()
            if not self._has_next():
                raise anyio.WouldBlock
            try:
                return self._take()[0]
            except NotYet:
                pass

    def receive_blocking(self, timeout: float | None = None) -> T:
        """Return the next message, blocking the thread until there is one.

        Args:
            timeout: seconds to wait at most; None is for ever, 0 or less is not at all.

        Raises:
            TimeoutError: there was no message in time; nothing was consumed.
            RuntimeError: it would have to wait in a thread that runs an event loop, where the
                loop could not go on. Use `await receive()` there.
            Lagged, SlowConsumer: as for `receive`, and so are its errors of anyio.
        """
        return self._take_blocking(timeout, lambda: self._take()[0])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """Like `receive_blocking()`, but a topic closed without error ends the iteration."""
        try:
            return self.receive_blocking()
        except anyio.EndOfStream:
            raise StopIteration from None

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

        What was lost to a limit is passed over like the rest, and not told of as missed.

        Cost: a walk of about a thousand messages at most, however many are passed over. They are
        freed as by `close`.

        Raises:
            ValueError: `n` is negative.
            anyio.ClosedResourceError: the subscription was closed.
        """
        checked_count("n", n, least=0)
        if self._closed:
            raise self._end()
        target = min(self._seq + n, self._topic.published)
        # No hold on the start may live until the return: it would free all at once.
        to, reached = self._topic._limits.seek(*self._first(), lambda _, seq: seq < target)
        if target < reached:  # where messages were cut off
            to, reached = Hold(self._link), target
        n = reached - self._seq
        self._move(Hold(self._link), to, skipped=n)
        return n

    def skip_to_latest(self) -> int:
        """Pass over all messages but the newest, and return how many.

        Cost: as for `skip`.

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
        return self._topic._subscription(link, seq, name, self._tolerance)

    def lead(self, others: Iterable[Subscription[T]]) -> None:
        """Have other subscriptions of this topic stand where this one stands.

        What is in between counts as received by them. It is for who reads once what many are to
        get, and hands it on to all of them: what this one has received, each of them has, too.
        One that was closed stays where it is.

        Cost: about a tenth of a microsecond for each. What they let go of is freed as by `close`.

        Raises:
            ValueError: one of them is of another topic, or further than this one; those before it
                have moved.
            anyio.ClosedResourceError: this subscription was closed.
            anyio.BusyResourceError: a task or thread waits for one of them; likewise.
        """
        to, seq = Hold(self._link), self._seq
        if to.link is CLOSED:
            raise self._end()
        topic, link = self._topic, to.link
        del to  # S3
        passed = Hold(link)
        for other in others:
            ahead = seq - other._start - other._received - other._missed - other._skipped
            if ahead < 0 or other._topic is not topic or other._reading:
                let_go(passed)
                del link, passed  # S3
                other._refuse_if_busy()
                raise ValueError(f"{other!r} is not behind {self!r} on one topic")
            if other._link is not passed.link:
                let_go(passed)
                passed = Hold(other._link)
            if passed.link is not CLOSED:
                other._received += ahead
                other._link = link
                if other._closed:  # in this moment, by another thread
                    other._forget()
        del link
        let_go(passed)

    def park(self, seconds: float) -> Position:
        """Close it, but keep its place for a reader who may return; return its position.

        `Topic.subscribe(since=...)` with that position, or its text, goes on exactly there. The
        topic keeps the place and what is after it, within its limits, for so many seconds: also
        when the reader has returned, who may have to return once more. It lets go of it with the
        next message that is published after that, or when somebody returns too late.

        Raises:
            ValueError: `seconds` is not greater than 0.
            anyio.ClosedResourceError: the subscription was closed.
        """
        place = Place(self._link, self._seq, checked_seconds("seconds", seconds))
        position = self.position
        if self._closed:
            raise self._end()
        self._topic._park(place)
        self.close()
        return position

    def close(self) -> None:
        """Stop reading, and free what nobody else still has to read.

        Whoever waits for this subscription gets `anyio.ClosedResourceError`, and so does whoever
        reads it later. Closing again does nothing. From any thread.

        Cost: linear in the lag, unless others are as far behind. In an event loop a long backlog
        is freed in slices, between which other tasks run; elsewhere before this returns.
        """
        self._closed = True  # all of it again, if an earlier call was interrupted
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

    def _take_blocking(self, timeout: float | None, take: Callable[[], V]) -> V:
        while True:
            self._refuse_if_busy()
            if not self._has_next():
                waiter = self._waiter = self._topic._waiting.thread(self._waiter)
                waiter.block(self, timeout)
            try:
                return take()
            except NotYet:
                pass

    def _has_next(self, regular: type[Exception] = anyio.EndOfStream) -> bool:
        """Return whether there is a message to take; raise what a reader must be told."""
        if self._link.next is None and self._topic._inbox:
            self._topic._link_inbox()  # an interrupted publisher may have left some
        following = self._link.next  # read once: it may change at any moment
        if following is END:
            raise self._end(regular)
        if following is None or (following and not self._untold and self._mask):
            return following is not None
        del following  # S3
        return self._keep_up() or self._has_next(regular)

    def _end(self, regular: type[Exception] = anyio.EndOfStream) -> Exception:
        """Return what to raise at the end: `regular`, unless there is a reason for another."""
        if self._closed:
            return anyio.ClosedResourceError(f"{self!r} was closed")
        return end_of(self._topic.name, cast(Any, self._link.value), regular)

    def _refuse_if_busy(self) -> None:
        if self._reading:
            raise busy(repr(self))

    def _take(self) -> tuple[T, float]:
        """Move on, and return the message and its time."""
        link = self._link
        following = link.next
        try:
            value, time = link.value, link.time
            if not following:
                raise AttributeError
        except AttributeError:  # closed, or cut off, in this moment
            link, following = Hold(link), Hold(following or END)  # type: ignore[assignment]
            raise NotYet from None
        self._received += 1
        self._link = following
        if self._closed:
            link, following = Hold(link), None  # type: ignore[assignment]
            self._forget()
        return value, time
