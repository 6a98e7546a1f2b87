"""What can be seen of a subscription, from any thread, without stopping anybody."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from driftline._core.link import CLOSED, END, Hold, Link
from driftline._core.message import Position
from driftline._core.statistics import SubscriptionStatistics

if TYPE_CHECKING:
    from driftline._core.topic import Topic

T = TypeVar("T")


class Visible(Generic[T]):
    """The properties of a `Subscription`. None of them changes anything."""

    __slots__ = ()

    _closed: bool
    _link: Link[T]
    _name: str | None
    _received: int
    _skipped: int
    _start: int
    _topic: Topic[T]

    @property
    def name(self) -> str | None:
        """The name given to `subscribe` or `fork`."""
        return self._name

    @property
    def topic(self) -> Topic[T]:
        """The topic that it reads."""
        return self._topic

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
        hold = Hold(self._link)
        if hold.link.next in (None, END):
            return 0.0
        return max(0.0, monotonic() - hold.link.time)

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
        """Where the subscription stands: after the last message that it received or skipped."""
        return Position(self._topic._epoch, self._seq)

    @property
    def received(self) -> int:
        """The number of messages received."""
        return self._received

    @property
    def skipped(self) -> int:
        """The number of messages passed over by choice."""
        return self._skipped

    def statistics(self) -> SubscriptionStatistics:
        """Return a snapshot."""
        return SubscriptionStatistics.of(self)

    def __repr__(self) -> str:
        name = "" if self._name is None else f" {self._name!r}"
        state = "closed" if self._closed else f"lag {self.lag}"
        return f"<Subscription{name} of {self._topic.name!r}, {state}>"

    @property
    def _seq(self) -> int:
        return self._start + self._received + self._skipped

    @property
    def _ahead(self) -> int:
        seq = self._seq  # first, because it only grows, and what follows grows ahead of it
        return self._topic.published - seq
