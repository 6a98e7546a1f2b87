"""Topics that nobody may hold, and that are wanted all the same.

The bus holds this, and its topics refer to it weakly: so a bus that is forgotten is freed with
what it keeps, without a cycle.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from driftline._bus.topics import BusTopic
    from driftline._core.topic import Topic

RECENT: Final = 1000
"""To make a topic takes twenty times as long as to publish on it, and many publish by name only."""


class Kept:
    """Those of one bus. From any thread."""

    __slots__ = ("__weakref__", "_parked", "recent", "topics")

    def __init__(self) -> None:
        self.topics: dict[str, BusTopic[Any]] = {}  # those that somebody asked to keep
        self.recent: deque[Topic[Any]] = deque(maxlen=RECENT)  # those made by publishing to them
        self._parked: deque[Topic[Any]] = deque()  # those where a place is kept, maybe twice

    def park(self, topic: Topic[Any]) -> None:
        """Hold a topic or a stream as long as there are places in it."""
        self._parked.append(topic)
        self.expire()

    def expire(self) -> None:
        """Look at the two that were not looked at for longest, and let go of what is over.

        Two at a time are enough, because at most one is added.
        """
        for _ in range(2):
            try:
                topic = self._parked[0]
            except IndexError:
                return
            topic._places.expire()
            if topic._places:
                self._parked.rotate(-1)
            else:
                with suppress(ValueError):
                    self._parked.remove(topic)
