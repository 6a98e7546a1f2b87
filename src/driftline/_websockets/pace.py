"""All fan-outs of an event loop together let other tasks run.

What one message wakes at once, such as the fan-outs of a hundred patterns that match its topic,
would otherwise frame and compress it in one turn of the loop, however long that takes. So they note
down what they have taken of a turn, and when that is enough, the others come one after the other,
each in a later turn.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

_ENOUGH: Final = 0.005  # seconds of a turn of the loop


class Pace:
    """What was taken of this turn of an event loop."""

    def __init__(self) -> None:
        self._queue = asyncio.Lock()
        self._taken = 0.0
        self._began = 0.0

    @property
    def is_enough(self) -> bool:
        """Whether nothing more is to be done in this turn."""
        return self._taken > _ENOUGH

    async def begin(self) -> None:
        """Return in a turn in which there is time, and count what is taken from now on."""
        if self.is_enough:
            async with self._queue:  # in the order in which they came
                while self.is_enough:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0)
        self._began = monotonic()

    def end(self) -> None:
        """Count no more."""
        if not self._taken:
            asyncio.get_running_loop().call_soon(self._begin_anew)
        self._taken += monotonic() - self._began

    async def rest(self) -> None:
        """Let others run, and count from then on."""
        self.end()
        await asyncio.sleep(0)
        self._began = monotonic()

    def _begin_anew(self) -> None:
        self._taken = 0.0
