"""What the fan-outs of a process are doing, from any thread."""

from __future__ import annotations

from dataclasses import dataclass

from driftline import SubscriptionStatistics
from driftline._websockets.patience import unsent
from driftline._websockets.relay import fan_outs


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """One client of a fan-out."""

    subscription: SubscriptionStatistics
    """Its lag and its counters. What was written counts as received."""
    live: bool
    """Whether it keeps up, and is written to with all others."""
    unsent: int
    """Bytes written that the kernel has not taken yet."""


@dataclass(frozen=True, slots=True)
class FanOutStatistics:
    """The fan-out of one topic on one event loop, since its first client came."""

    topic: str
    """The name of the topic, or the patterns."""
    clients: tuple[ClientStatistics, ...]
    """Those that are there, those furthest behind first."""
    passes: int
    """How often it has written to all that were live."""
    messages: int
    """How many messages that were; together with `passes` it tells how many are joined."""
    writes: int
    """How often it has written to a connection."""
    written: int
    """Bytes that it has written."""

    @property
    def behind(self) -> int:
        """How many clients do not keep up at the moment."""
        return sum(not client.live for client in self.clients)

    @property
    def unsent(self) -> int:
        """Bytes written to all clients that the kernel has not taken yet."""
        return sum(client.unsent for client in self.clients)


def statistics() -> list[FanOutStatistics]:
    """Return a snapshot of all fan-outs of this process.

    Cost: linear in the number of clients. Each is a snapshot of its own moment.
    """
    return [
        FanOutStatistics(
            fan_out.topic.name,
            tuple(
                sorted(
                    (
                        ClientStatistics(
                            client.subscription.statistics(), client.live, unsent(client.connection)
                        )
                        for client in fan_out.clients.copy()
                    ),
                    key=lambda client: client.subscription.lag,
                    reverse=True,
                )
            ),
            fan_out.passes,
            fan_out.messages,
            fan_out.writes,
            fan_out.written,
        )
        for fan_out in fan_outs()
    ]
