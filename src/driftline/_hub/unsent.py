"""Clients that have much written to them, and take none of it.

What is published to them waits until they take something. But pings are answered by websockets
itself, however much of that is unsent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_LOOKS: Final = 3
"""How often a client may be found to have taken nothing."""


class Unsent:
    """Looks now and then at connections of the asyncio server; on trio, nothing is written ahead.

    Args:
        large: bytes, more than which may not be unsent for long.
    """

    def __init__(self, large: int) -> None:
        self._large = large
        self._last: dict[Any, tuple[int, int]] = {}
        """Of each that has more: how much, and how often that was not less."""

    def stuck(self, connections: Iterable[Any]) -> list[Any]:
        """Return those that have taken nothing since some looks before."""
        now: dict[Any, tuple[int, int]] = {}
        for connection in connections:
            unsent = _unsent(connection)
            if unsent > self._large:
                before, looks = self._last.get(connection, (unsent + 1, 0))
                now[connection] = unsent, 0 if unsent < before else looks + 1
        self._last = now
        return [connection for connection, (_, looks) in now.items() if looks >= _LOOKS]


def _unsent(connection: Any) -> int:
    transport = getattr(connection, "transport", None)
    return 0 if transport is None else transport.get_write_buffer_size()
