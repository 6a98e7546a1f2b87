"""Holding on to a chain of links, and letting go of it.

Dropping a long chain at once makes CPython free it recursively. That takes a long time in one
piece, and crashes CPython 3.13.0 in threads with small stacks. `Hold` frees it link by link.

Whether somebody else holds a link, and giving it up, are two steps. Two threads that hold the same
link could both look, both see the other, and the last to give it up would drop the chain at once.
So a link that is given up goes to `_left`, and only who has the turn looks and drops. Who cannot
have it leaves the link there: the one who has it looks again afterwards.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate, repeat
from operator import attrgetter
from sys import getrefcount, maxsize
from typing import Any, Final

from driftline._core.link import END, Gap, Link
from driftline._core.turn import Turn


def _references_of_an_only_holder() -> int:
    link: Link[None] = Link()
    return getrefcount(link)


# Counted and not written down, because the interpreters differ in what they count.
_ALONE: Final = _references_of_an_only_holder()

_left: Final[deque[tuple[Link[Any], None]]] = deque()
_turn: Final = Turn()


class Hold:
    """A reference to a link that, when given up, frees what it alone kept, link by link.

    Freeing stops at the first link that somebody else holds: the rest is theirs. So whoever may
    turn out to be the last to refer to a long chain must do so by a hold, not by a variable.
    """

    __slots__ = ("link",)

    def __init__(self, link: Link[Any]) -> None:
        self.link = link

    def free(self, most: int = maxsize) -> bool:
        """Give the link up, freeing at most so many; return whether nothing is left to free."""
        if self.link is not END:
            # It must be given up before it can be found there: hence the tuple.
            _left.append((self.link, setattr(self, "link", END)))  # type: ignore[func-returns-value]
        while _left:
            try:
                del _turn.free
            except AttributeError:
                return True
            try:
                most = self._free_left(most)
            finally:
                _turn.free = True
            if not most:
                return self.link is END
        return True

    def _free_left(self, most: int) -> int:
        """Free what is left, at most so many links, and return how many more it may be."""
        while _left:
            link, _ = _left.popleft()
            while getrefcount(link) <= _ALONE:
                if not most:
                    self.link = link
                    return 0
                most -= 1
                following = link.next
                if following is None:
                    following = link.kept if isinstance(link, Gap) else END
                link = following
                del following
        return most

    def __del__(self) -> None:
        if hasattr(self, "link"):  # otherwise an interruption came before it was made
            self.free()


_value: Final = attrgetter("value")


def read(start: Hold, most: int) -> tuple[list[Any], Hold]:
    """Return the messages from the start on, `most` or all there are, and the link behind them.

    There may be less than were numbered: another thread may be about to link the last, to cut, or
    to close the subscription that stood at the start.

    Cost: some 40 ns a message, because no step of it is in Python.
    """
    # The start is held, so that this list is never the last to refer to a chain.
    try:
        links = list(accumulate(repeat("next", most), getattr, initial=start.link))
        while not links[-1]:
            links.pop()
        end = Hold(links.pop())
        return list(map(_value, links)), end
    except AttributeError:
        return _read_with_care(start, most)


def _read_with_care(start: Hold, most: int) -> tuple[list[Any], Hold]:
    values: list[Any] = []
    link = start.link
    while len(values) < most and (following := link.next):
        try:
            values.append(link.value)
        except AttributeError:  # cut off in this moment
            break
        link = following
    return values, Hold(link)
