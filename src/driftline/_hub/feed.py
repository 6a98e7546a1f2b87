"""One subscription of one connection."""

from __future__ import annotations

from typing import Any

import anyio

from driftline import Subscription
from driftline._hub.backend import on_asyncio
from driftline._hub.encoding import Encoder
from driftline._hub.places import Place
from driftline.protocol import Subscribe


class Feed:
    """What a client reads.

    Args:
        request: what it has subscribed to.
        subscription: what is written to the client.
        encoder: that of all who have the same.
        place: where the client is, if that is kept.
        count: messages that the client has had on connections before.
    """

    def __init__(
        self,
        request: Subscribe,
        subscription: Subscription[Any],
        encoder: Encoder,
        place: Place | None,
        count: int = 0,
    ) -> None:
        self.request = request
        self.subscription = subscription
        self.encoder = encoder
        self.to: str = encoder.to
        self.place = place
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self.over: anyio.Event = anyio.Event()
        self._before = count

    @property
    def sent(self) -> int:
        """How many messages were sent to the client so far, on all its connections."""
        mine = self.subscription
        return self._before + mine.received + mine.missed + mine.skipped

    def acknowledge(self, count: int) -> None:
        """Take note of how many messages the client has had; what was known before is passed over.

        Raises:
            ValueError: so many were not sent.
        """
        if count > self.sent:
            raise ValueError(f"count is {count}, but only {self.sent} messages were sent")
        if self.place is not None:
            self.place.acknowledge(count)

    def stop(self) -> None:
        """Send nothing more of it."""
        self.subscription.close()
        if on_asyncio():  # on trio, a frame could be sent in half
            self.scope.cancel()
