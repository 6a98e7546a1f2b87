"""What driftline raises of its own. Everything else is anyio's or Python's."""

from __future__ import annotations

import anyio


class _TooSlow(Exception):
    _then = ""

    def __init__(self, missed: int, topic: str, subscription: str | None) -> None:
        super().__init__(missed, topic, subscription)
        self.missed = missed
        """The number of messages missed in this gap; not those that could still be had."""
        self.topic = topic
        """The name of the topic."""
        self.subscription = subscription
        """The name of the subscription, if it has one."""

    def __str__(self) -> str:
        name = "" if self.subscription is None else f" {self.subscription!r}"
        return (
            f"the subscription{name} of the topic {self.topic!r} has missed {self.missed} "
            f"messages, because it was read too slowly; {self._then}"
        )


class Lagged(_TooSlow):
    """A reader was too slow and has missed messages; its subscription goes on behind the gap.

    Raised once for each gap, in place of the first message after it, if `on_lag` is "raise". It
    ends an `async for`; to read on, begin the loop again with the same subscription.
    """

    _then = "it can be read on"


class SlowConsumer(_TooSlow):
    """A reader was too slow, and its subscription was closed, because `on_lag` is "close".

    Like all that depends on lag, this is found out when the reader reads. One that is stuck
    elsewhere, as in sending to a client that does not receive, is found by `Topic.watch_lag`.
    """

    _then = "it was closed"


class PositionLost(Exception):
    """A topic cannot go on exactly after a position any more, or never could."""

    def __init__(self, why: str, missed: int | None = None) -> None:
        super().__init__(why, missed)
        self.missed = missed
        """The number of messages that can no longer be had, or None if that cannot be known."""

    def __str__(self) -> str:
        lost = "" if self.missed is None else f" {self.missed} messages are lost."
        return f"{self.args[0]}.{lost} Subscribe without `since`, and tell the reader."


class TooManyTopics(Exception):
    """A bus has as many topics as it may have, `Bus(max_topics=...)`; no other was made."""


def end_of(topic: str, error: BaseException | None, regular: type[Exception]) -> Exception:
    """Return what to raise at the end of a topic: `regular`, unless an error ended it."""
    if error is None:
        return regular()
    broken = anyio.BrokenResourceError(f"the topic {topic!r} failed: {error!r}")
    broken.__cause__ = error
    return broken


def busy(subscription: str) -> anyio.BusyResourceError:
    """Return what to raise when two want to wait for one subscription."""
    # Not where it is raised: a variable there would refer to it, and it to the variable.
    error = anyio.BusyResourceError("reading from")
    error.args = (f"another task or thread waits for {subscription}: give each its own fork()",)
    return error
