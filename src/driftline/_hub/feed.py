"""One subscription of one client."""

from __future__ import annotations

from typing import Any

import anyio

from driftline import Subscription
from driftline._hub.encoding import Encoder
from driftline.protocol import Subscribe


class Feed:
    """What a client reads, and, if it is to be kept, what it has not acknowledged.

    Args:
        request: how it was asked for.
        subscription: what is written to the client.
        encoder: that of this subscription.
        count: messages that the client has had on connections before.
    """

    def __init__(
        self, request: Subscribe, subscription: Subscription[Any], encoder: Encoder, count: int = 0
    ) -> None:
        self.request = request
        self.subscription = subscription
        self.encoder = encoder
        self.to = encoder.to
        self.scope = anyio.CancelScope()
        self.over = anyio.Event()
        self.resume: str | None = None
        self._before = count
        self.unacknowledged: Subscription[Any] | None = None
        if request.keep is not None:
            name = f"{subscription.name}, not acknowledged"
            self.unacknowledged = subscription.fork(name=name)

    @property
    def acknowledged(self) -> int:
        """How many messages the client has said that it has had."""
        trail = self.unacknowledged
        if trail is None:
            return self._before
        return self._before + trail.received + trail.missed + trail.skipped

    def acknowledge(self, count: int) -> None:
        """Take note of how many messages the client has had; what was known before is passed over.

        Raises:
            ValueError: so many were not sent.
        """
        sent = self._before + _passed(self.subscription)
        if count > sent:
            raise ValueError(f"count is {count}, but only {sent} messages were sent")
        if self.unacknowledged is not None and count > self.acknowledged:
            self.unacknowledged.skip(count - self.acknowledged)

    def bound(self, lag: int) -> None:
        """Keep no more than so many messages for who does not acknowledge."""
        trail = self.unacknowledged
        if trail is not None and trail.lag > lag:
            trail.skip(trail.lag - lag)

    def close(self) -> None:
        """Read no more."""
        self.subscription.close()
        if self.unacknowledged is not None:
            self.unacknowledged.close()


def _passed(subscription: Subscription[Any]) -> int:
    return subscription.received + subscription.missed + subscription.skipped
