"""Senders: publishing that waits for the slowest reader instead of running away from it.

Those who send stand in a queue, and only the first of it looks for room. There is room when the
slowest live subscription is less than the limit behind. If there is none, a milestone lives, at
that subscription or after it, and its death is the moment to look again: it dies by reference
counting as soon as that subscription reads on, is closed or is forgotten. (On an interpreter
without reference counting that is when the garbage collector finds it.)

Somebody else may keep that milestone: a parked place, a replay, a gap. Or there is none, because
the messages were published under another limit, or none. So the first also looks again every so
often. That is late, and rare.

Invariants:

N1. `_slowest` has what `newcomer` was when it was found, and a number. While `newcomer` is still
    that, the number is at most that of any live subscription, for these only grow.
N2. Who waits has looked for room once more after it began to listen, and after the milestone that
    it waits for was found alive. The first looks again after `_PAUSE` in any case.
N3. Whoever leaves the queue wakes the next. Who never can, because its event loop was closed
    around it, is taken out by those behind, who look now and then.
N4. Who may publish is among those `passing` from before it looked until its message is in the
    inbox. Each of them takes a place, for topics that have queues of their own may have readers in
    common; and so does each message in the inbox, which somebody else may be about to link. They
    are looked for in the order in which a message goes that way, so that none slips through.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakSet, ref

import anyio
from anyio.lowlevel import checkpoint

from driftline._core.checks import checked_deadline, checked_size
from driftline._core.link import Milestone
from driftline._core.parking import event_loop_here, running_loop

if TYPE_CHECKING:
    from driftline._core.subscription import Subscription
    from driftline._core.topic import Topic


T = TypeVar("T")
Ref = ref[Milestone[Any]]

_PAUSE: Final = 0.05  # seconds; the longest that room is not noticed
_LONG_PAUSE: Final = 1.0  # the longest that it is not noticed that the first is gone


class Senders:
    """Those who wait to publish on one topic, in their order. From any thread."""

    __slots__ = ("__weakref__", "_slowest", "newcomer", "passing", "queue")

    def __init__(self) -> None:
        self.queue: deque[Sender] = deque()
        self.newcomer = object()  # another one when a subscription has begun further back
        self.passing: dict[Sender, None] = {}
        self._slowest = (self.newcomer, 0)
        _all.add(self)

    def wake(self, _: object = None) -> None:
        """Have the first look for room."""
        try:
            first = self.queue[0]
        except IndexError:
            return
        first.ring()

    def wake_all(self) -> None:
        """Have all look whether the topic was closed."""
        for sender in self.queue.copy():
            sender.ring()

    def room(self, topic: Topic[Any], awaited: list[Ref], wake: Callable[[object], None]) -> bool:
        """Return whether all who are passing may publish before the slowest is cut off.

        If they may not, `wake` is called when there may be room, as long as `awaited` is kept.
        """
        newcomer, slowest = self._slowest
        if newcomer is self.newcomer and self._has_room(topic, slowest):
            return True
        for _ in range(2):
            # In this order: who is not seen here has begun with a later number, or tells of it.
            newcomer, published = self.newcomer, topic.published
            slowest = min([published, *(each._seq for each in topic.subscriptions())])
            self._slowest = newcomer, slowest
            if self._has_room(topic, slowest):
                return True
            hold = topic._limits.milestones.first(slowest)
            if isinstance(hold.link, Milestone):
                awaited.append(ref(hold.link, wake))
            del hold
        return False

    def _has_room(self, topic: Topic[Any], slowest: int) -> bool:
        taken = len(self.passing)
        if topic._inbox:
            taken += sum(entry[4] for entry in topic._inbox.copy() if entry[0]._reaches(topic))
        return topic.published - slowest + taken <= topic._limits.messages


class Sender:
    """One who publishes when there is room, in a task or in a thread."""

    __slots__ = ("_awaited", "_bell", "_loop", "_passing", "_senders", "_topic", "heard", "thread")

    heard: Subscription[None]

    def __init__(self, topic: Topic[Any]) -> None:
        self._topic = topic
        self._senders = topic._senders
        self._bell: Topic[None] | None = None
        self._passing: Sequence[Topic[Any]] = ()
        self._awaited: list[Ref] = []
        self._loop = running_loop()
        self.thread = get_ident()

    def enter(self) -> None:
        """Take a place in the queue. Whatever interrupts this, `leave` gives it up."""
        self._senders.queue.append(self)

    def may_publish(self) -> bool:
        """Return whether it is first, and there is room, which is its own then until it leaves."""
        self._topic._refuse_if_closed()
        first = self._senders.queue[0]
        if first is self:
            self._awaited = []
            self._passing = self._topic._chains()
            for chain in self._passing:
                chain._senders.passing[self] = None
            if all(
                chain._senders.room(chain, self._awaited, self._senders.wake)
                for chain in self._passing
            ):
                return True
            self._stand_back()
        elif first.is_gone():
            first.leave()
        return False

    def is_gone(self) -> bool:
        """Return whether its event loop was closed around it."""
        return self._loop is not None and self._loop.is_closed()

    def _stand_back(self) -> None:
        for chain in self._passing:
            chain._senders.passing.pop(self, None)
        self._passing = ()

    def listen(self) -> bool:
        """Have `heard` tell when to ask again; return whether that begins only now (N2).

        It is dear, and only for who must wait.
        """
        if self._bell is not None:
            return False
        bell = self._topic._bell()
        self.heard = bell.subscribe()
        self._bell = bell
        return True

    def ring(self) -> None:
        """Have it ask again. Who does not listen yet will ask when it does (N2)."""
        if self._bell is not None:
            self._bell.publish(None)

    @property
    def patience(self) -> float:
        """How many seconds to wait for `heard` at most, before asking again."""
        return _PAUSE if self._senders.queue[0] is self else _LONG_PAUSE

    def leave(self) -> None:
        """Give up the place in the queue, and the room that it had."""
        self._stand_back()
        with suppress(ValueError):  # interrupted before it had one
            self._senders.queue.remove(self)
        self._senders.wake()


class Sending(Generic[T]):
    """The part of a `Topic` that publishes without loss."""

    __slots__ = ()

    async def send(self, value: T) -> None:
        """Publish a message as soon as the slowest subscription is less than `limit` behind.

        So no subscription misses a message, as long as all who publish on the topic send, and the
        reader has set itself no `max_lag`. Senders are served in their order. A subscription that
        is closed or forgotten holds up nobody; one that is kept and not read holds up all. Places
        that were parked do not.

        Cancellation: a cancelled call has published nothing. A checkpoint.

        Raises:
            anyio.ClosedResourceError: the topic was closed, maybe while waiting.
            ValueError: the topic has no `limit`, or it has one in bytes or seconds too, for which
                send does not wait, or its replay keeps too much of it.
            TypeError, ValueError: as for `publish`.
        """
        sender = self._sender()
        try:
            sender.enter()
            await checkpoint()
            while not sender.may_publish():
                if sender.listen():
                    continue
                with anyio.move_on_after(sender.patience):
                    await sender.heard.receive()
            self._send(value)
        finally:
            try:
                sender.leave()
            except BaseException:  # of a signal handler
                sender.leave()
                raise

    def send_blocking(self, value: T, timeout: float | None = None) -> None:
        """Like `send`, blocking the thread.

        Not for finalizers and signal handlers, which may come in the middle of another call of it
        in the same thread, and would wait for that: they `publish`.

        Args:
            value: the message.
            timeout: seconds to wait at most; None is for ever.

        Raises:
            TimeoutError: there was no room in time; nothing was published.
            RuntimeError: it would have to wait in a thread that runs an event loop.
        """
        deadline = checked_deadline(timeout)
        sender = self._sender()
        try:
            sender.enter()
            while not sender.may_publish():
                if sender.listen():
                    continue
                rest = min(deadline - monotonic(), _PAUSE)
                if rest <= 0:
                    raise TimeoutError("there was no room in time; nothing was published")
                loop = event_loop_here()
                if loop is not None:
                    raise RuntimeError(
                        f"this thread runs {loop}, which could not go on while it is blocked here; "
                        "use `await send()`, or send in another thread"
                    )
                with suppress(TimeoutError):
                    sender.heard.receive_blocking(rest)
            self._send(value)
        finally:
            try:
                sender.leave()
            except BaseException:  # of a signal handler
                sender.leave()
                raise

    def _chains(self: Any) -> Sequence[Topic[Any]]:
        """Return those in which a message of this topic stands."""
        return (self,)

    def _reaches(self: Any, chain: Topic[Any]) -> bool:
        """Return whether a message in the inbox may come to stand there, not knowing for sure."""
        return chain is self

    def _sender(self: Any) -> Sender:
        self._refuse_if_closed()
        topic: Topic[Any] = self
        limits, replay = topic._limits, topic._replay
        if limits.messages == inf:
            raise ValueError("send waits while a reader is `limit` behind: give the topic a limit")
        if any(min(chain._limits.size, chain._limits.seconds) < inf for chain in topic._chains()):
            raise ValueError(
                "send waits for `limit` alone, and would lose messages to limit_bytes and "
                "limit_seconds: give the topic only a limit, or use publish"
            )
        if replay is not None and replay.messages > limits.messages - limits.milestones.apart:
            raise ValueError(
                f"send needs room beside what is replayed: with a limit of {limits.messages:g}, "
                f"`replay` may be {limits.messages - limits.milestones.apart:g} at most, and it is "
                f"{replay.messages:g}"
            )
        return Sender(topic)

    def _send(self: Any, value: Any) -> None:
        sizes = () if self._sizeof is None else (checked_size(self._sizeof, value),)
        self._append(value, sizes, [Milestone()])


_all: WeakSet[Senders] = WeakSet()


def _forget_others() -> None:
    """In a forked child: those who waited in other threads exist only in the parent."""
    for senders in list(_all):
        own = [sender for sender in senders.queue if sender.thread == get_ident()]
        senders.queue = deque(own)
        senders.passing = {sender: None for sender in own if sender in senders.passing}


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows has no fork)
    os.register_at_fork(after_in_child=_forget_others)
