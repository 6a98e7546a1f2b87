"""What a load is, and how it starts what it consists of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from driftline import Bus

LOOPS = ("asyncio", "uvloop", "trio")
"""The loops of a run, each in a thread of its own."""


class Start(Protocol):
    """How a load starts its threads and tasks; each gets a `Part` and the arguments."""

    @property
    def bus(self) -> Bus:
        """The one bus."""

    def thread(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run a function in a thread. It returns soon after `part.stopping` is set."""

    def task(self, loop: str, function: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Run a coroutine function on one of `LOOPS`. At the end it is cancelled."""


@dataclass(frozen=True)
class Load:
    """Something done to the bus all the time. Its name is in the report."""

    name: str
    run: Callable[[Start], None]
