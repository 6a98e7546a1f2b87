"""A turn: something that one can take, at most one at a time, without ever waiting for it.

It is a list with one item; to delete the item is to take the turn. Unlike the call of a lock's
method, this is one instruction, so that no signal handler can get in between taking it and the
`try` that gives it back. Giving it back is an assignment, for the same reason.

A forked child starts with all turns free, because those who had taken them are threads that exist
only in the parent.
"""

from __future__ import annotations

import os
from typing import Final
from weakref import WeakSet

FREE: Final = (None,)


class Turn(list[None]):
    """Take it by `del turn[0]`, which raises IndexError if it is taken; give it back by
    `turn[:] = FREE`.
    """

    __slots__ = ("__weakref__",)

    def __init__(self) -> None:
        super().__init__(FREE)
        _turns.add(self)

    __hash__ = object.__hash__  # type: ignore[assignment]  # turns differ, even if equal


_turns: WeakSet[Turn] = WeakSet()


def _free_all() -> None:
    for turn in list(_turns):
        turn[:] = FREE


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
