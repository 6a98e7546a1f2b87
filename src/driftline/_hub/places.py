"""Where clients are in what they want to go on with, also after their connection is lost.

A place is a subscription that nobody reads: it stands behind the last message that its client has
acknowledged, and so keeps what comes after that. Whoever comes back gets another subscription that
begins there, less what it says that it has had meanwhile.
"""

from __future__ import annotations

from collections import Counter
from secrets import token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Any

from driftline import Subscription
from driftline.protocol import Subscribe

if TYPE_CHECKING:
    from driftline._hub.feed import Feed


class Place:
    """Where one client is in one subscription, over all its connections.

    Args:
        request: how it was asked for.
        trail: a subscription of its own, which begins where the client does.
        owner: who its client is.
    """

    def __init__(self, request: Subscribe, trail: Subscription[Any], owner: str) -> None:
        self.request = request
        self.owner = owner
        self.key: str = token_urlsafe(18)
        """What its client resumes it with. It stays the same, because an answer with another one
        could be lost with the next connection."""
        self.feed: Feed | None = None
        """What writes to the client now, if it is connected."""
        self.until: float = 0.0
        self._trail = trail
        self._sent = 0

    @property
    def acknowledged(self) -> int:
        """How many messages the client has said that it has had, or cannot have any more."""
        return self._trail.skipped

    @property
    def sent(self) -> int:
        """How many messages were sent to it, on all its connections."""
        return self._sent if self.feed is None else self.feed.sent

    def acknowledge(self, count: int) -> None:
        """Let go of what the client has had."""
        if count > self.acknowledged and not self._trail.closed:
            self._trail.skip(count - self.acknowledged)

    def bound(self) -> None:
        """Keep no more for who does not acknowledge than for who does not read."""
        most = self._trail.max_lag
        if most is not None and not self._trail.closed:
            self._trail.skip(max(0, self._trail.lag - most))

    def subscribe(self, name: str) -> Subscription[Any]:
        """Return a subscription that goes on here.

        Raises:
            anyio.ClosedResourceError: somebody has closed that of the place.
        """
        return self._trail.fork(name=name)

    def leave(self) -> None:
        """Note that its client has left."""
        self._sent = self.sent
        self.feed = None
        self.until = monotonic() + (self.request.keep or 0.0)

    def close(self) -> None:
        """Keep nothing any more."""
        self._trail.close()


class Places:
    """Those of all clients; of lost ones at most so many.

    Beyond that, the oldest of whoever has the most are forgotten, so that nobody can have those of
    others forgotten by losing many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._connected: dict[str, Place] = {}
        self._lost: dict[str, Place] = {}
        self._lost_by: Counter[str] = Counter()

    def open(self, feed: Feed, place: Place) -> None:
        """Note that a place is that of a feed now.

        If its connection seems to be there, its client knows better.
        """
        if place.feed is not None:
            place.feed.stop()
        if place.key in self._lost:
            self._take(place.key)
        self._connected[place.key] = place
        place.feed = feed

    def find(self, key: str) -> Place | None:
        """Return a place that is kept, or None."""
        self.tidy()
        return self._connected.get(key) or self._lost.get(key)

    def leave(self, feed: Feed) -> None:
        """Keep the place of a feed from now on, for as long as its client has asked for.

        But who was too slow is not to come back to where it was too slow. Where somebody else has
        come back, nothing changes.
        """
        place = feed.place
        if place is None or feed.subscription.closed:
            return self.drop(feed)
        place.leave()
        self._connected.pop(place.key, None)
        self._lost[place.key] = place
        self._lost_by[place.owner] += 1
        self.tidy()

    def drop(self, feed: Feed) -> None:
        """Keep nothing of a feed, which is over."""
        place = feed.place
        if place is not None and place.feed is feed:
            place.feed = None
            self._connected.pop(place.key, None)
            place.close()

    def bound(self) -> None:
        """Let go of what is kept for too long, or is too much."""
        self.tidy()
        for place in [*self._connected.values(), *self._lost.values()]:
            place.bound()

    def close(self) -> None:
        """Forget all of them."""
        for place in [*self._connected.values(), *self._lost.values()]:
            place.close()
        self._connected.clear()
        self._lost.clear()
        self._lost_by.clear()

    def tidy(self) -> None:
        """Forget those whose time is over, and those that are too many."""
        now = monotonic()
        over = [key for key, place in self._lost.items() if place.until <= now]
        for key in over:
            self._take(key).close()
        while len(self._lost) > self._most:
            [(owner, _)] = self._lost_by.most_common(1)
            oldest = next(key for key, place in self._lost.items() if place.owner == owner)
            self._take(oldest).close()

    def _take(self, key: str) -> Place:
        """Return one of the lost ones, which is that no more."""
        place = self._lost.pop(key)
        self._lost_by[place.owner] -= 1
        if not self._lost_by[place.owner]:
            del self._lost_by[place.owner]
        return place
