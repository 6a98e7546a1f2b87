"""Where clients were whose connections were lost, for when they come back."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_urlsafe
from time import monotonic

from driftline._hub.feed import Feed
from driftline.protocol import Subscribe


@dataclass(frozen=True, slots=True)
class Place:
    """Where one client was in one subscription."""

    request: Subscribe
    position: str
    count: int
    """Messages that it has acknowledged."""
    until: float
    token: str | None
    """Who it was."""


class Places:
    """Those of all lost clients, at most so many; the oldest are forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, Place] = {}
        self._live: dict[str, tuple[Feed, str | None]] = {}

    def open(self, feed: Feed, token: str | None, key: str | None = None) -> None:
        """Have the place of a feed be kept when its connection is lost.

        Args:
            feed: the feed, of which what is not acknowledged is kept.
            token: who it is.
            key: what to ask for it with, if the client has one already. It stays the same, because
                an answer with another one could be lost with the next connection.
        """
        feed.resume = key or token_urlsafe(18)
        self._live[feed.resume] = feed, token

    def keep(self, feed: Feed) -> None:
        """Keep the place of a feed from now on, for as long as its client has asked for."""
        _, token = self._live.pop(feed.resume or "", (None, None))
        trail, seconds, key = feed.unacknowledged, feed.request.keep, feed.resume
        if trail is None or seconds is None or key is None or trail.closed or trail.topic.closed:
            return
        count = feed.acknowledged
        position = trail.park(seconds)
        self._places[key] = Place(feed.request, str(position), count, monotonic() + seconds, token)
        self.forget_old()

    def drop(self, feed: Feed) -> None:
        """Keep nothing of a feed, which is over."""
        self._live.pop(feed.resume or "", None)

    def take(self, key: str, token: str | None) -> Place | None:
        """Return a place, and keep it no more; or None.

        If its connection seems to be there, its client knows better.
        """
        self.forget_old()
        if key in self._live:
            feed, owner = self._live[key]
            if owner == token:
                self.keep(feed)
                feed.close()
        place = self._places.get(key)
        if place is None or place.token != token:
            return None
        return self._places.pop(key)

    def forget_old(self) -> None:
        """Forget those whose time is over, and those that are too many."""
        now = monotonic()
        for key in [key for key, place in self._places.items() if place.until <= now]:
            del self._places[key]
        while len(self._places) > self._most:
            del self._places[next(iter(self._places))]
