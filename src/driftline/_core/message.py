"""What a subscriber can learn of a message beside its value, and of its own place."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from os import urandom
from typing import Final, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A message with its origin, as `Subscription.messages()` gives it."""

    topic: str
    """The name of the topic on which it was published."""
    seq: int
    """Its number on that topic; the first message of a topic has 1."""
    published_at: float
    """When it was published, in seconds since the epoch, like `time.time()`.

    Taken from the monotonic clock, so it never goes back from one message to the next; a change
    of the system's clock after the topic was made is not seen.
    """
    value: T
    """What was published, the same object and not a copy."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a topic: just after the message with the number `seq`, or at 0 before all.

    Its text, `str(position)`, is a short token of letters, digits, "-", "_" and one ".", for a
    cookie, a `Last-Event-ID`, or a client that will come back. `Position.parse` reads it.
    """

    epoch: str
    """Tells one topic object from another, even of the same name or in another process.

    What a stream of patterns replays has one of its own for each that it was replayed to.
    """
    seq: int
    """The number of the last message before this place; less than 0 in what a stream of patterns
    begins with when it is asked to replay."""

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, token: str) -> Position:
        """Return the position that has this text.

        Raises:
            ValueError: it is not the text of a position.
        """
        if not isinstance(token, str):
            raise TypeError(f"the text of a position is a str, not {token!r}")
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise ValueError(f"not the text of a position, such as 'kWq0tTzN.42': {token[:80]!r}")
        return cls(found[1], int(found[2]))


def new_epoch() -> str:
    """Return the epoch of something whose positions are not those of anything else."""
    return urlsafe_b64encode(urandom(6)).decode()


DIGITS: Final = 19
"""What the number of a position has at most; more than any topic can have published."""
_TOKEN: Final = re.compile(rf"([A-Za-z0-9_-]{{8}})\.(0|-?[1-9][0-9]{{0,{DIGITS - 1}}})")
