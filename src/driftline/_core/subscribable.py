"""Where a subscription begins: with the next message, some messages back, or after a position."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import ref

from driftline._core.checks import check_name, checked_choice, checked_count, checked_limit
from driftline._core.errors import PositionLost
from driftline._core.hold import Hold
from driftline._core.link import Link
from driftline._core.message import DIGITS, Position
from driftline._core.subscription import Subscription
from driftline._core.tolerance import ON_LAG, OnLag, Tolerance
from driftline._core.visible import VisibleTopic

if TYPE_CHECKING:
    from driftline._core.limits import Limits
    from driftline._core.places import Place, Places
    from driftline._core.replay import Replay
    from driftline._core.senders import Senders
    from driftline._core.topic import Topic

T = TypeVar("T")


class Subscribable(VisibleTopic[T]):
    """The part of a `Topic` that makes subscriptions."""

    __slots__ = ()

    _limits: Limits
    _places: Places
    _replay: Replay | None
    _senders: Senders
    _sizeof: Any

    def subscribe(
        self,
        *,
        name: str | None = None,
        replay: int = 0,
        replay_seconds: float | None = None,
        since: Position | str | None = None,
        max_lag: int | None = None,
        max_lag_seconds: float | None = None,
        max_lag_bytes: int | None = None,
        on_lag: OnLag = "raise",
    ) -> Subscription[T]:
        """Return a subscription to every message published from this call on, or from before.

        What another thread is about to put in its place in this moment may come, too, even if it
        was published before by this thread: see `publish`.

        Nothing needs to be done when it is no longer wanted: when it is forgotten, so are the
        messages that it has not read. To let go of them at once, close it or use `with`.

        Args:
            name: tells who is behind, in `statistics()` and the like.
            replay: begin with the last so many messages, or as many as there are.
            replay_seconds: begin with those published in the last so many seconds; with
                `replay`, those that both allow.
            since: begin just after this position of an earlier subscription, or its text.
            max_lag: how many messages it may be behind when it is read.
            max_lag_seconds: how old the next message may be when it is read.
            max_lag_bytes: how many bytes it may be behind when it is read; needs `sizeof`.
            on_lag: what happens when it is further behind, or behind the limit of the topic.
                "raise": it moves to the oldest message that it may have, and reading raises
                `Lagged`, once. "skip": it does the same without raising. "latest": it moves to the
                newest message. "close": it is closed, and reading raises `SlowConsumer`.

        Raises:
            PositionLost: the messages after `since` cannot all be had any more.
            ValueError, TypeError: what was asked for makes no sense, or is more than the topic
                keeps; the text says what to do.
        """
        check_name("subscription", "" if name is None else name)
        tolerance = (
            checked_limit("max_lag", max_lag, whole="messages"),
            checked_limit("max_lag_seconds", max_lag_seconds),
            checked_limit("max_lag_bytes", max_lag_bytes, whole="bytes", sizeof=self._sizeof),
            checked_choice("on_lag", on_lag, ON_LAG),
        )
        checked_count("replay", replay, least=0)
        if since is None:
            hold, seq = self._place(replay, replay_seconds)
        elif replay or replay_seconds is not None:
            raise ValueError("since says where to begin, and so does replay; give one of them")
        else:
            position = since if isinstance(since, Position) else Position.parse(since)
            hold, seq = _place_of(position, cast("Topic[T]", self))
        subscription = self._subscription(hold.link, seq, name, tolerance)
        if since is None and self.published - seq >= self._limits.messages:
            # While nobody knew of it, another thread sent so many. From now on all wait for it.
            subscription._begin(*self._place(replay, replay_seconds))
        return subscription

    def _place(self, replay: int, replay_seconds: float | None) -> tuple[Hold, int]:
        """Return the link with which who subscribes now begins, and how many are before it."""
        if replay or replay_seconds is not None:
            return self._place_back(replay, replay_seconds)
        link, seq = self._end
        return Hold(link), seq

    def _subscription(
        self, link: Link[T], seq: int, name: str | None, tolerance: Tolerance
    ) -> Subscription[T]:
        subscription = Subscription(cast("Topic[T]", self), link, seq, name, tolerance)
        self._subscriptions[ref(subscription, self._subscriptions.pop)] = None
        if seq < self.published:
            self._senders.newcomer = object()
        return subscription

    def _place_back(self, messages: int, seconds: float | None) -> tuple[Hold, int]:
        """Return the link so many messages and seconds back, and how many are before it."""
        seconds = checked_limit("replay_seconds", seconds)
        replay = self._replay
        if replay is None:
            raise ValueError("this topic keeps nothing to replay; make it with replay=...")
        if messages > replay.messages:
            raise ValueError(
                f"this topic keeps {replay.messages:g} messages to replay, fewer than {messages}"
            )
        if replay.seconds < seconds < inf:
            raise ValueError(
                f"this topic keeps messages for {replay.seconds:g} seconds to replay, "
                f"not {seconds:g}"
            )
        place = replay.place
        start, seq = Hold(place[0]), place[1]
        del place  # it would be the last to refer to what is let go of meanwhile
        first = self.published - (messages or inf)
        oldest = monotonic() - min(seconds, replay.seconds)
        return self._limits.seek(
            start, seq, lambda link, number: number < first or link.time < oldest
        )

    def _park(self, place: Place) -> None:
        self._places[place] = None

    def __aiter__(self) -> Subscription[T]:
        """Subscribe, for `async for` in a task."""
        return self.subscribe()

    def __iter__(self) -> Subscription[T]:
        """Subscribe, for `for` in a thread, which blocks while there is nothing to read."""
        return self.subscribe()


def _place_of(position: Position, topic: Topic[Any]) -> tuple[Hold, int]:
    checked_count("since.seq", position.seq, least=-(10**DIGITS))
    # It is found if the topic replays it, if a place was parked there or before, or if nothing was
    # published since.
    if position.epoch != topic._epoch:
        place = topic._places.before(position.seq, str(position.epoch))
        if place is not None:
            reached = topic._limits.seek(
                Hold(place._link), place._seq, lambda _, number: number < position.seq
            )
            if reached[1] == position.seq:
                return reached
            del reached  # as below
        del place
        raise PositionLost(f"the position {position} is of another topic, or of an earlier run")
    if position.seq > topic.published:
        raise PositionLost(f"the position {position} is ahead of the {topic.published} so far")
    link, published = topic._end
    found = [(Hold(link), published)]
    if topic._replay is not None:
        link, seq = topic._replay.place
        found.append((Hold(link), seq))
    del link
    place = topic._places.before(position.seq, None)
    if place is not None:
        found.append((Hold(place._link), place._seq))
    start = next((pair for pair in found if pair[1] <= position.seq), None)
    if start is not None:
        reached = topic._limits.seek(*start, lambda _, number: number < position.seq)
        if reached[1] == position.seq:
            return reached
        del reached  # in this moment the way there was cut off
    missed = min(number for _, number in found if number > position.seq) - position.seq
    del found, place, start  # an exception that is kept must not keep what comes
    raise PositionLost(f"the position {position} is too far back", missed)
