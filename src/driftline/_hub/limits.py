"""What a client may do at most."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

PIECE: Final = 16 * 1024
"""Bytes as which a large frame counts once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients of a hub may do at most, so that none of them can disturb the others.

    Raises:
        ValueError: one of them is not more than 0.
    """

    connections: int = 10_000
    """At a time; one more is refused with HTTP 503."""
    subscriptions: int = 100
    """Of one client at a time. Each set of patterns that clients have costs those who publish, and
    up to a mebibyte of frames; `Bus(max_topics=...)` bounds how many there are of all clients."""
    message_bytes: int = 1024 * 1024
    """In a frame from a client, also when it is inflated; who sends more is cut off with 1009."""
    rate: float = 1000.0
    """Frames a second from a client, after a burst; who sends faster is read more slowly.

    A frame counts once, and once more for each 16 KiB that it has when it is inflated.
    """
    burst: int = 1000
    """Frames from a client that may come at once."""
    errors: int = 10
    """Bad requests of a client, and tokens that there are not; with that many it is cut off with
    1008."""
    lag: int = 100_000
    """Messages that a reader may be behind, whatever it asks for."""
    lag_seconds: float = 60.0
    """Age of the oldest of them."""
    replay: int = 100_000
    """Messages that a reader may ask for to begin with."""
    patience: float = 20.0
    """Seconds in which a client may take nothing while something waits for it."""
    ping_seconds: float = 20.0
    """Between two pings; who has not answered one when the next is due is cut off."""
    handshake_seconds: float = 10.0
    """For a connection to be opened."""
    places: int = 10_000
    """Of lost readers who may come back; beyond that, the oldest are forgotten of the token, or the
    address without one, that has the most."""
    recheck_seconds: float = 5.0
    """Between two looks whether readers may still read what they read."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{field.name} is a number, more than 0, not {value!r}")
