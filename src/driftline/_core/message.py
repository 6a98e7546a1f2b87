"""What a subscriber can learn of a message beside its value, and of its own place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

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
    """What was published: the same object, not a copy."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a topic: just after the message with the number `seq`, or at 0 before all."""

    epoch: str
    """Tells one topic object from another, even of the same name or in another process."""
    seq: int
    """The number of the last message before this place."""
