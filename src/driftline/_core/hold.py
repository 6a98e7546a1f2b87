"""Holding on to a chain of links, and letting go of it.

Dropping a long chain at once makes CPython free it recursively. That takes a long time in one
piece, and crashes CPython 3.13.0 in threads with small stacks. `Hold` frees it link by link.
"""

from __future__ import annotations

from itertools import accumulate, repeat
from operator import attrgetter
from sys import getrefcount, maxsize
from typing import Any, Final

from driftline._core.link import END, Gap, Link


def _references_of_an_only_holder() -> int:
    link: Link[None] = Link()
    return getrefcount(link)


# Counted and not written down, because the interpreters differ in what they count.
_ALONE: Final = _references_of_an_only_holder()


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
        link, self.link = self.link, END
        while getrefcount(link) <= _ALONE:
            if not most:
                self.link = link
                return False
            most -= 1
            following = link.next
            link = (link.kept if isinstance(link, Gap) else END) if following is None else following
            del following
        return True

    def __del__(self) -> None:
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
