"""A turn: something that one can take, at most one at a time, without ever waiting for it.

To delete its attribute `free` is to take it, which fails if it is taken; to set it is to give it
back. Unlike a call of a lock's method, each is one instruction: no signal handler can get in
between taking it and the `try` that gives it back. And unlike a change of a list, neither needs
memory.

With the turn goes what its last holder was interrupted in: `unwoken` has a topic whose readers are
still to be told of what was linked, or None.

A forked child starts with all turns free, because those who had taken them are threads that exist
only in the parent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from driftline._core.topic import Topic


class Turn:
    """Take it by `del turn.free`, which raises AttributeError if it is taken."""

    __slots__ = ("__weakref__", "free", "unwoken")

    def __init__(self) -> None:
        self.free = True
        self.unwoken: Topic[Any] | None = None
        _turns.add(self)

    def wake(self) -> None:
        """Have those woken who wait for the topic that is `unwoken`."""
        if self.unwoken is not None and self.unwoken._waiting.queue:
            self.unwoken._waiting.wake()
        self.unwoken = None


_turns: WeakSet[Turn] = WeakSet()


def _free_all() -> None:
    for turn in list(_turns):
        turn.free = True


if hasattr(os, "register_at_fork"):  # pragma: no branch (Windows has no fork)
    os.register_at_fork(after_in_child=_free_all)
