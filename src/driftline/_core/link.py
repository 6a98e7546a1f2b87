"""The linked list that a topic is made of.

A topic is a chain of links. All but the last are *filled*: they hold a message and lead to the
next link. The last one is *open*: it is where the next message will go. A subscription refers to
the first link that it has not read, and to nothing before it::

    subscription ──┐                       topic
                   ▼                         ▼
    [ "a" ] ──▶ [ "b" ] ──▶ [ "c" ] ──▶ [ open ]

Nobody keeps the links that everybody has read, so Python frees them. Here "a" is already gone.

Invariants:

I1. `next` is set once, after `value` and `time`, and never changes: who sees a `next` may read
    the rest, from any thread, without a lock.
I2. An open link has `next` None. A closed topic's last link has `next` `END` and the error that
    closed it, or None, as its `value`.
I3. `time` does not decrease along a chain, and neither does `before`.
I4. Links are private to the core. One stray reference keeps every later message alive, so no
    link is handed out, logged, or kept beyond the step that needs it.

Sequence numbers are not in the links. They would cost 32 bytes a message, and whoever walks the
chain can count: a topic knows the number of its open link, a subscription the number of what it
has read.

Dropping a long chain at once makes CPython free it recursively. That takes a long time in one
piece, and crashes CPython 3.13.0 in threads with small stacks. `Hold` frees it link by link.

The idea is from the page "Broadcasting messages" of the documentation of websockets.
"""

from __future__ import annotations

from itertools import accumulate, repeat
from operator import attrgetter
from sys import getrefcount, maxsize
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")


class Link(Generic[T]):
    """One message of a topic, or the place where the next one will go.

    Four slots make 64 bytes, with `time` 96; a fifth would make 112.
    """

    __slots__ = ("before", "next", "time", "value")

    value: T  # the message; unset while open
    next: Link[T] | None  # None while open, `END` when the topic was closed here
    time: float  # time.monotonic() when filled; unset while open
    before: int  # bytes published before this message, 0 for ever without `sizeof`

    def __init__(self) -> None:
        self.next = None
        self.before = 0


END: Final[Link[Any]] = Link()
CLOSED: Final[Link[Any]] = Link()  # where a closed subscription stands
CLOSED.next = END


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
            link = link.next or END  # which has many holders
        return True

    def __del__(self) -> None:
        self.free()


_value: Final = attrgetter("value")


def read(start: Hold, most: int) -> tuple[list[Any], Hold]:
    """Return the messages from the start on, `most` or all there are, and the link behind them.

    `most` is at most the number of messages that are numbered, of which another thread may be
    about to link the last, or to close the subscription that stood at the start.

    Cost: some 40 ns a message, because no step of it is in Python.
    """
    # The start is held, so that this list is never the last to refer to a chain.
    try:
        links = list(accumulate(repeat("next", most), getattr, initial=start.link))
        while links[-1] in (None, END):
            links.pop()
    except AttributeError:
        links = [start.link]
        while len(links) <= most and (following := links[-1].next) not in (None, END):
            links.append(following)
    end = Hold(links.pop())
    return list(map(_value, links)), end
