"""The linked list that a topic is made of.

A topic is a chain of links. All but the last are *filled*: they hold a message and lead to the
next link. The last one is *open*: it is where the next message will go. A subscription refers to
the first link that it has not read, and to nothing before it::

    subscription ──┐                       topic
                   ▼                         ▼
    [ "a" ] ──▶ [ "b" ] ──▶ [ "c" ] ──▶ [ open ]

Nobody keeps the links that everybody has read, so Python frees them. Here "a" is already gone.

Invariants:

I1. `next` is set once, after `value` and `time`: who sees a `next` may read the rest, from any
    thread, without a lock. Only a cut changes it again, to a `Gap`, and then takes `value` away:
    who finds no `value` looks at `next` once more.
I2. An open link has `next` None. A closed topic's last link has `next` `END` and the error that
    closed it, or None, as its `value`. None, `END` and gaps are falsy: a link leads to another
    message only if its `next` is truthy.
I3. `time` does not decrease along a chain, and neither does `before`.
I4. Links are private to the core. One stray reference keeps every later message alive, so no
    link is handed out, logged, or kept beyond the step that needs it.

Sequence numbers are not in the links. They would cost 32 bytes a message, and whoever walks the
chain can count: a topic knows the number of its open link, a subscription the number of what it
has read.

The idea is from the page "Broadcasting messages" of the documentation of websockets.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

Origin = tuple[str, int]
"""The name of the topic on which a message was published, and its number there."""


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


class Milestone(Link[T]):
    """One link of every so many, that can be referred to weakly and knows its own number.

    It is found, as long as it lives, by whoever looks for a place without walking there.
    """

    __slots__ = ("__weakref__", "origin", "seq")

    origin: Origin  # as of a `Copy`, where that is what it stands among
    seq: int  # the number of messages before it; set before a `next` leads to it


class Copy(Link[T]):
    """A link of a chain that has the messages of several topics, each of which has its own too."""

    __slots__ = ("origin",)

    origin: Origin


class Past(Copy[T]):
    """A copy of what was there before a chain, for one who begins there.

    Its numbers are those of one past, so positions there have an epoch of their own.
    """

    __slots__ = ("epoch",)

    epoch: str


class Stop(Link[Any]):
    """What no message follows."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class Gap(Stop):
    """Where messages were cut off. It keeps the oldest one left, for whoever comes here."""

    __slots__ = ("__weakref__", "kept")

    def __init__(self, kept: Milestone[Any]) -> None:
        super().__init__()
        self.kept = kept  # not as `next`, so that nobody walks over a gap without noticing


END: Final = Stop()
CLOSED: Final[Link[Any]] = Link()  # where a closed subscription stands
CLOSED.next = END
