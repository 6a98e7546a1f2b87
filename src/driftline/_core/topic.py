"""A topic: publishing without a lock, without waiting, and without knowing who reads.

The problem: `publish` may be called by any thread, and again in the middle of itself, by a signal
handler or by a finalizer that the garbage collector runs. A lock would make the second call wait
for the first, which waits for it. A lock that its owner may take again would let both change the
end of the chain at once, and lose messages.

The model: publishing puts a message into an inbox, which is one atomic step. Then whoever can
take the turn links what is in the inbox, in order, and gives the turn back. Who cannot take it
leaves at once: the one who has it looks into the inbox again afterwards.

Invariants:

K1. Only who holds the `Turn` changes the end of the chain.
K2. A message that is in the inbox will be linked, by its publisher or by somebody else, unless
    its publisher takes it back. Deleting the last item of its `claim`
    decides who is first.
K3. The number of messages grows before a reader can see the message: lag is never negative.
K4. After every instruction here the state is one from which the next to take the turn can go on.
    Whoever is interrupted goes on once more before the exception of the signal handler leaves; so
    it costs nobody else a message, nor the call that tells of one: that is `unwoken` until then.
K5. Close takes its place in the inbox like a message. What comes behind it is refused, and the
    publisher, who must have seen `_closing` by then, takes it back and raises.
K6. Several topics may share one inbox and one turn; then all their messages have one order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic, sleep, time
from typing import Any, Final, NoReturn, TypeVar
from weakref import ref

import anyio

from driftline._core.checks import check_name, checked_size
from driftline._core.hold import Hold
from driftline._core.limits import Limited, Limits
from driftline._core.link import END, Link, Milestone
from driftline._core.message import new_epoch
from driftline._core.milestones import Mark
from driftline._core.parking import WaitingRoom
from driftline._core.places import Places
from driftline._core.replay import Replay
from driftline._core.senders import Senders, Sending
from driftline._core.subscribable import Subscribable
from driftline._core.turn import Turn

T = TypeVar("T")

_MANY: Final = 100  # messages in the inbox; beyond that, publishers let the others run

Sizes = Sequence[int]
Entry = tuple["Topic[Any]", Any, Sizes, list[Any], int, Link[Any], Link[Any], None]


class Topic(Subscribable[T], Limited, Sending[T]):
    """A stream of messages that anybody may publish to and anybody may read.

    Everybody who subscribes gets every message published from then on, in one order that is the
    same for all, each at a pace of its own. Messages that all have read are freed; without
    subscriptions nothing is kept. How far behind each reader is can be seen at any time.

    ::

        prices = Topic[float]("prices")
        prices.publish(12.5)            # from any thread, task, callback or signal handler

        async for price in prices:      # in any task of asyncio or trio
            print(price)

    Args:
        name: tells topics apart in errors, statistics and `Message.topic`.
        limit: how many messages are kept at most for readers that do not read, 1 or more.
        limit_bytes: likewise in bytes; needs `sizeof`.
        limit_seconds: likewise in seconds, as often as a message is published.
        replay: how many messages are kept for those who subscribe later.
        replay_seconds: for how long, as often as a message is published; with `replay`, what
            both allow.
        sizeof: returns the size of a value in bytes, an int of 0 or more. It is called once for
            each message, by its publisher; `len` will do for bytes. With it there is `lag_bytes`.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_epoch",
        "_inbox",
        "_limits",
        "_places",
        "_replay",
        "_senders",
        "_sizeof",
        "_turn",
        "_waiting",
    )

    def __init__(
        self,
        name: str = "",
        *,
        limit: int | None = None,
        limit_bytes: int | None = None,
        limit_seconds: float | None = None,
        replay: int = 0,
        replay_seconds: float | None = None,
        sizeof: Callable[[T], int] | None = None,
    ) -> None:
        check_name("topic", name)
        if sizeof is not None and not callable(sizeof):
            raise TypeError(f"sizeof takes a function from a value to its bytes, not {sizeof!r}")
        self._name = name
        self._sizeof: Any = sizeof
        self._limits = Limits()
        self._end = (self._limits.milestones.start(), 0)
        self._inbox: deque[Entry] = deque()
        self._turn = Turn()
        self._waiting = WaitingRoom()
        self._closing = False
        self._subscriptions = {}
        self._clock = time() - monotonic()
        self._epoch = new_epoch()
        self._places = Places()
        self._senders = Senders()
        self._replay: Replay | None = None
        self._limit(limit, limit_bytes, limit_seconds)
        self._replay = Replay.of(self, replay, replay_seconds)

    # Publishing.

    def publish(self, value: T) -> None:
        """Publish a message to everybody who has subscribed.

        Works anywhere: in any thread, in any event loop or none, in a finalizer, a weak
        reference's callback, a signal handler, or another `publish`. It never blocks and waits
        for no reader. When it returns, the message has been put in its place in the one order
        of the topic, or is about to be by another thread that is publishing or reading.

        Cost: the same whatever the number of readers, plus a call to each event loop on which a
        reader waits and which has not been called yet. If other threads publish faster than one
        can link, so that a hundred messages wait for that, it lets them run for once.

        Raises:
            anyio.ClosedResourceError: the topic was closed; the message is not published.
            TypeError, ValueError: `sizeof` gave no size; the message is not published. What
                `sizeof` itself raises is passed on, likewise.
        """
        sizes = () if self._sizeof is None else (checked_size(self._sizeof, value),)
        self._append(value, sizes, [Link()])

    def publish_many(self, values: Iterable[T]) -> None:
        """Publish several messages at once: all of them or none, with no other in between.

        The values are collected first, so whatever the iterable does, it does before anything is
        published. Readers are woken once. Otherwise like `publish`, for each message.

        Cost: linear in the number of messages; they are linked in one piece, which takes about
        a millisecond for each thousand, so give an event loop a turn between large ones.
        """
        collected = list(values)
        if not collected:
            return self._refuse_if_closed()
        sizes = [checked_size(self._sizeof, value) for value in collected] if self._sizeof else []
        links = self._limits.milestones.links(sizes, len(collected))
        for n, value in enumerate(collected[1:]):
            links[n].value, links[n].next = value, links[n + 1]
        self._append(collected[0], sizes, links)

    def close(self, error: BaseException | None = None) -> None:
        """End the topic: readers get what they have not read yet, and then the end.

        After that, iteration just ends and `receive` raises `anyio.EndOfStream`; with an
        `error`, both raise `anyio.BrokenResourceError` from it. Closing again does nothing. Like
        `publish`, it works anywhere and never blocks.
        """
        if error is not None and not isinstance(error, BaseException):
            raise TypeError(f"close takes an exception (an instance) or nothing, not {error!r}")
        if not self._closing:
            entry: Entry = (self, error, (), [None, None], 0, END, END, None)
            self._closing = True
            try:
                self._inbox.append(entry)
            except MemoryError:
                self._closing = False
                raise
        self._link_inbox()  # again, if an earlier call was interrupted
        self._senders.wake_all()

    def _append(self, value: T, sizes: Sizes, links: list[Link[T]]) -> None:
        """Publish `value` and the chain of `links`, of which the last is open."""
        self._refuse_if_closed()
        claim = [None, None]  # of two, because to shrink from one to none needs memory
        try:
            # `links` is emptied before anybody can link what was in it: who comes back late from
            # `append` must not be the last to hold what others have published behind it.
            self._inbox.append(
                (self, value, sizes, claim, len(links), links[0], links.pop(), links.clear())  # type: ignore[func-returns-value]
            )
            try:  # noqa: SIM105  # with suppress() it takes longer
                self._link_inbox()
            except (MemoryError, RecursionError):
                pass  # what is in the inbox is linked later (K2): it must not look refused
        except BaseException:
            self._link_inbox()  # interrupted between the two, or before the `try` there
            raise
        if self._closing:  # perhaps before this came into the inbox
            with suppress(IndexError):  # no, it was linked
                del claim[1]
                self._refuse_if_closed()

    def _refuse_if_closed(self) -> None:
        if self._closing:
            raise anyio.ClosedResourceError(f"the topic {self._name!r} was closed")

    def _link_inbox(self) -> None:
        """Link what is in the inbox, unless somebody is at it, and wake those who wait."""
        turn = self._turn
        try:
            while self._inbox or turn.unwoken is not None:
                try:
                    del turn.free
                except AttributeError:
                    if len(self._inbox) > _MANY:
                        sleep(0)  # or who has the turn would never catch up with those who publish
                    return
                try:
                    # No loop here: an exception at the jump back would pass by the `finally`.
                    self._link_all()
                finally:
                    turn.free = True
        except BaseException as error:
            if not isinstance(error, (MemoryError, RecursionError)):
                self._link_inbox()  # what a signal handler has interrupted was not only its own
            raise

    def _link_all(self) -> None:
        """Link what is in the inbox. Only who has the turn may."""
        inbox, turn = self._inbox, self._turn
        if turn.unwoken is not None:  # somebody was interrupted
            turn.wake()
        while inbox:
            entry = inbox[0]
            topic = turn.unwoken = entry[0]
            topic._link(entry)
            # This frame may be the last to refer to a chain that another has published.
            hold = Hold(entry[5]) if entry[4] > 1 else None
            del entry
            inbox.popleft()
            del hold
            if not inbox or inbox[0][0] is not topic:  # once for many
                turn.wake()

    def _link(self, entry: Entry) -> None:
        """Link a message of this topic, or several, or its end. Twice does no harm."""
        _, value, sizes, claim, count, first, last, _ = entry
        link, published = self._end
        if link.next is not END:  # otherwise it came too late (K5)
            # All that could be interrupted comes before the claim, and does no harm twice (K4).
            now = monotonic()
            number = published + count
            milestones = self._limits.milestones
            if count == 1 and number >= milestones.due:
                first = last = milestones.link(last, number, link.before + sum(sizes), now)
            end = (link if first is END else last, number)
            marks: list[Mark] = []
            if (sizes or type(last) is Milestone) and len(claim) > 1:
                marks = _stamp(first, now, link.before, sizes or (0,) * count, published)
            try:
                del claim[1]
            except IndexError:
                pass  # taken back, or linked already before an interruption
            else:
                link.value = value
                link.time = now
                self._end = end  # before the message can be seen (K3)
                link.next = first
                if marks or self._replay is not None or self._places:
                    self._keep(marks, now)

    def _bell(self) -> Topic[None]:
        return Topic("room")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a topic cannot be copied or pickled; pass it on as it is")


def _stamp(link: Link[Any], now: float, before: int, sizes: Sizes, seq: int) -> list[Mark]:
    """Set the time of all links but the last, which is open, and the sums of the sizes.

    Return the milestones among them, held weakly.
    """
    marks: list[Mark] = []
    for size in sizes:
        seq += 1
        before += size
        link.before = before
        if isinstance(link, Milestone):
            link.seq = seq
            marks.append((seq, ref(link)))
        if link.next is not None:
            link.time = now
            link = link.next
    return marks
