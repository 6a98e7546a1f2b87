"""How fast a client may send."""

from __future__ import annotations

from time import monotonic


class Allowance:
    """How long to wait before the next message, so that on average not too many come.

    For handlers that read a connection themselves; `publish_from` does it by itself. Whoever waits
    before it reads on has the client's messages wait at the client's end.

    Args:
        rate: messages a second, after a burst.
        burst: messages that may come at once, 1 or more.

    Raises:
        ValueError: that is no rate, or no burst.
    """

    def __init__(self, rate: float, burst: int = 10) -> None:
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate is a number of messages a second, more than 0, not {rate!r}")
        if burst < 1:
            raise ValueError(f"burst is a number of messages, 1 or more, not {burst!r}")
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._last = monotonic()

    def spend(self, cost: float = 1.0) -> float:
        """Take one, and return the seconds until there is another.

        Args:
            cost: as how many it counts.
        """
        now = monotonic()
        self._left = min(self._burst, self._left + (now - self._last) * self._rate) - cost
        self._last = now
        return max(0.0, (1 - self._left) / self._rate)
