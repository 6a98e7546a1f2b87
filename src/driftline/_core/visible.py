"""What can be seen of topics and subscriptions, from any thread, without stopping anybody."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from weakref import ref

from driftline._core.hold import Hold
from driftline._core.link import CLOSED, END, Link
from driftline._core.message import Position
from driftline._core.statistics import SubscriptionStatistics, TopicStatistics
from driftline._core.watch import LagWatch

if TYPE_CHECKING:
    from driftline._core.subscription import Subscription
    from driftline._core.topic import Topic

T = TypeVar("T")


class VisibleTopic(Generic[T]):
    """The properties of a `Topic`. None of them changes anything."""

    __slots__ = ("_closing", "_end", "_name", "_subscriptions")

    _closing: bool
    _end: tuple[Link[T], int]  # the open link, and how many are before it
    _name: str
    _subscriptions: dict[ref[Subscription[T]], None]

    @property
    def name(self) -> str:
        """The name given to the topic."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether the topic was closed. What was published before can still be read."""
        return self._closing

    @property
    def published(self) -> int:
        """The number of messages published so far, and the `seq` of the last."""
        return self._end[1]

    def subscriptions(self) -> list[Subscription[T]]:
        """Return the live subscriptions, the oldest first. For looking; from any thread.

        Cost: linear in their number. While the list is kept, so are they.
        """
        live = (reference() for reference in self._subscriptions.copy())
        return [subscription for subscription in live if subscription and not subscription.closed]

    def statistics(self) -> TopicStatistics:
        """Return a snapshot of the topic and its live subscriptions. From any thread.

        Cost: linear in the number of subscriptions. Each is a snapshot of its own moment, while
        the others go on.
        """
        return TopicStatistics.of(cast("Topic[T]", self))

    def watch_lag(
        self,
        lag: int | None = None,
        *,
        lag_seconds: float | None = None,
        every: float = 1.0,
        stalled_after: int = 3,
    ) -> LagWatch:
        """Return a watch over the lag of all subscriptions, for `async for event in ...`.

        It tells once when a subscription becomes slow, stops moving, recovers or is gone. It ends
        when the topic was closed and no subscription is slow any more.

        Args:
            lag: the number of messages behind from which on a subscription is slow.
            lag_seconds: likewise the age of the oldest message that it has not received.
            every: seconds between two looks.
            stalled_after: looks without a move after which a slow subscription is stalled.
        """
        return LagWatch(self, lag, lag_seconds, every, stalled_after)

    def __repr__(self) -> str:
        state = ", closed" if self._closing else ""
        return f"<Topic {self._name!r}, {self.published} published{state}>"


class Visible(Generic[T]):
    """The properties of a `Subscription`. None of them changes anything."""

    __slots__ = (
        "_closed",
        "_link",
        "_missed",
        "_name",
        "_received",
        "_skipped",
        "_start",
        "_subscribed",
        "_topic",
    )

    _link: Link[T]

    def __init__(self, topic: Topic[T], link: Link[T], seq: int, name: str | None) -> None:
        self._topic = topic
        self._link = link
        self._name = name
        self._start = seq
        self._received = self._missed = self._skipped = 0
        self._closed = False
        self._subscribed = monotonic()

    @property
    def name(self) -> str | None:
        """The name given to `subscribe` or `fork`."""
        return self._name

    @property
    def topic(self) -> Topic[T]:
        """The topic that it reads."""
        return self._topic

    @property
    def subscribed_at(self) -> float:
        """When it was made, in seconds since the epoch, by the clock of `Message.published_at`."""
        return self._topic._clock + self._subscribed

    @property
    def closed(self) -> bool:
        """Whether the subscription was closed."""
        return self._closed

    @property
    def lag(self) -> int:
        """The number of messages published and not yet received. Never negative; 0 if closed."""
        return 0 if self._closed else self._ahead

    @property
    def lag_seconds(self) -> float:
        """How long ago the oldest message not yet received was published; 0.0 without one."""
        return self._seconds_behind(monotonic())

    @property
    def lag_bytes(self) -> int | None:
        """The size of the messages not yet received; None if the topic has no `sizeof`."""
        if self._topic._sizeof is None:
            return None
        hold = Hold(self._link)
        if hold.link is CLOSED:
            return 0
        return self._topic._end[0].before - hold.link.before

    @property
    def position(self) -> Position:
        """Where it stands, just after the last message that it received, missed or skipped."""
        hold = Hold(self._link)
        return Position(getattr(hold.link, "epoch", self._topic._epoch), self._seq)

    @property
    def received(self) -> int:
        """The number of messages received."""
        return self._received

    @property
    def missed(self) -> int:
        """The number of messages lost because it was read too slowly."""
        return self._missed

    @property
    def skipped(self) -> int:
        """The number of messages passed over by choice."""
        return self._skipped

    def statistics(self) -> SubscriptionStatistics:
        """Return a snapshot."""
        return SubscriptionStatistics.of(self, monotonic())

    def __repr__(self) -> str:
        name = "" if self._name is None else f" {self._name!r}"
        state = "closed" if self._closed else f"lag {self.lag}"
        return f"<Subscription{name} of {self._topic.name!r}, {state}>"

    def _seconds_behind(self, now: float) -> float:
        hold = Hold(self._link)
        if hold.link.next in (None, END):
            return 0.0
        return max(0.0, now - hold.link.time)

    @property
    def _seq(self) -> int:
        return self._start + self._received + self._missed + self._skipped

    @property
    def _ahead(self) -> int:
        seq = self._seq  # first, because it only grows, and what follows grows ahead of it
        return self._topic.published - seq
