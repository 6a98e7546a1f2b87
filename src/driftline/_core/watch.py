"""Watching lag: who has become slow, who stands still, and who has caught up.

It looks at intervals, and never on the way of a message. The rules are those of Burrow, which
watches consumers of Kafka, and of NATS, which tells of a slow consumer once, and not again before
it is well below the threshold:

- A subscription is "slow" from when its lag reaches a threshold.
- It is "stalled" when it is slow and has not moved for some looks, and "slow" again when it moves.
- It has "recovered" when its lag is at most four fifths of each threshold.
- It is "gone" when it was slow and then closed or forgotten.

Each is told once, until the next is true.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self
from weakref import ref

import anyio

from driftline._core.checks import checked_count, checked_limit, checked_seconds

if TYPE_CHECKING:
    from driftline._core.subscription import Subscription

_RECOVERED: Final = 0.8

LagState = Literal["slow", "stalled", "recovered", "gone"]


class Watched(Protocol):
    """A topic, or a bus."""

    @property
    def closed(self) -> bool: ...

    def subscriptions(self) -> list[Subscription[Any]]: ...


@dataclass(frozen=True, slots=True)
class LagEvent:
    """A change that a watch has seen in one subscription."""

    state: LagState
    """What it is from now on."""
    topic: str
    """The name of the topic."""
    name: str | None
    """The name of the subscription."""
    subscription: Subscription[Any] | None
    """The subscription itself, to close it for example; None if gone. The event keeps it."""
    lag: int
    """Messages published and not yet received; 0 if gone."""
    lag_seconds: float
    """Age of the oldest of them; 0.0 without one, or if gone."""


@dataclass(slots=True)
class _Episode:
    """The time in which one subscription is slow."""

    topic: str
    name: str | None
    seq: int
    state: LagState = "slow"
    looks: int = 0  # since it has moved


class LagWatch:
    """An iterator over `LagEvent`, made by `watch_lag`; `look` is one step of it."""

    __slots__ = ("_episodes", "_every", "_found", "_lag", "_seconds", "_stalled_after", "_watched")

    def __init__(
        self,
        watched: Watched,
        lag: int | None,
        lag_seconds: float | None,
        every: float,
        stalled_after: int,
    ) -> None:
        """Not for users: `watch_lag` of a topic or a bus makes watches."""
        self._watched = watched
        self._lag = checked_limit("lag", lag, whole="messages")
        self._seconds = checked_limit("lag_seconds", lag_seconds)
        if min(self._lag, self._seconds) == inf:
            raise ValueError("watch_lag needs a threshold: give lag, lag_seconds, or both")
        self._every = checked_seconds("every", every)
        self._stalled_after = checked_count("stalled_after", stalled_after, least=1, what="looks")
        self._episodes: dict[ref[Subscription[Any]], _Episode] = {}
        self._found: deque[LagEvent] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LagEvent:
        """Return the next event, looking at intervals until there is one.

        Ends when the topic was closed and no subscription is slow any more.

        Cancellation: safe; an event that was found is returned by the next call.
        """
        while not self._found:
            await anyio.sleep(self._every)
            self._found.extend(self.look())
            if not self._found and self._watched.closed and not self._episodes:
                raise StopAsyncIteration
        return self._found.popleft()

    def look(self) -> list[LagEvent]:
        """Look at all subscriptions now, and return what has changed since the last look.

        For programs that have a rhythm of their own. From any thread, but one at a time. Cost:
        linear in the number of subscriptions.
        """
        events: list[LagEvent] = []
        live = {ref(subscription): subscription for subscription in self._watched.subscriptions()}
        for reference in self._episodes.keys() - live.keys():
            episode = self._episodes.pop(reference)
            events.append(LagEvent("gone", episode.topic, episode.name, None, 0, 0.0))
        for reference, subscription in live.items():
            state = self._look_at(reference, subscription)
            if state is not None:
                lag, seconds = subscription.lag, subscription.lag_seconds
                topic, name = subscription.topic.name, subscription.name
                events.append(LagEvent(state, topic, name, subscription, lag, seconds))
        return events

    def _look_at(
        self, reference: ref[Subscription[Any]], subscription: Subscription[Any]
    ) -> LagState | None:
        """Return the state of a subscription, if that is new."""
        lag = max(subscription.lag / self._lag, subscription.lag_seconds / self._seconds)
        seq = subscription.position.seq
        episode = self._episodes.get(reference)
        if episode is None:
            if lag < 1:
                return None
            self._episodes[reference] = _Episode(subscription.topic.name, subscription.name, seq)
            return "slow"
        if lag <= _RECOVERED:
            del self._episodes[reference]
            return "gone" if subscription.closed else "recovered"
        episode.looks = 0 if seq != episode.seq else episode.looks + 1
        episode.seq = seq
        before = episode.state
        episode.state = "stalled" if episode.looks >= self._stalled_after else "slow"
        return episode.state if episode.state != before else None
