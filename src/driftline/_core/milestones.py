"""Milestones: how a place in a long chain is found without walking there, and without holding it.

Every so many messages the open link of a topic is a `Milestone`, and the topic refers to it weakly.
A milestone lives as long as somebody stands at it or before it. So the oldest one alive tells
whether anybody is far behind, at no cost for publishing or reading, and whoever passes over a
million messages walks only from the last milestone before the place it looks for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Final
from weakref import ref

from driftline._core.hold import Hold
from driftline._core.link import END, Gap, Link, Milestone

APART: Final = 1024  # messages; who looks for a place walks half of them on average
_CLOSE: Final = 32  # with a limit
_SOME: Final = 256  # are forgotten at once; if there are many more, the rest later

Mark = tuple[int, ref[Milestone[Any]]]
Far = Callable[[Link[Any], int], bool]
"""Whether the message at a link, before which there are so many, is too far back."""


class Milestones:
    """Those of one topic, the oldest first. Only who has the topic's turn may add to them."""

    __slots__ = (
        "_bytes",
        "_bytes_apart",
        "_marks",
        "_measured",
        "_seconds_apart",
        "_time",
        "apart",
        "due",
    )

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._time = 0.0
        self.set_apart()

    def start(self) -> Milestone[Any]:
        """Return the first link of the chain, which is a milestone."""
        start: Milestone[Any] = Milestone()
        start.seq = 0
        self._marks.append((0, ref(start)))
        return start

    def set_apart(self, messages: float = inf, size: float = inf, seconds: float = inf) -> None:
        """Place them so that twice their distance is at most an eighth of each limit."""
        self._bytes_apart = size / 16
        self._seconds_apart = seconds / 16
        self._measured = min(size, seconds) < inf
        limited = self._measured or messages < inf
        self.apart = int(max(1, min(_CLOSE, messages // 16))) if limited else APART
        self._bytes = -inf  # so that the next is one
        self.due = 0 if limited else APART
        """The number of messages from which on to ask `link`."""

    def link(self, link: Link[Any], seq: int, before: int, now: float) -> Link[Any]:
        """Return a milestone in place of the link behind so many messages, if one is due."""
        if (
            before - self._bytes >= self._bytes_apart
            or now - self._time >= self._seconds_apart
            or seq - (self._marks[-1][0] if self._marks else 0) >= self.apart
        ):
            return Milestone()
        return link

    def links(self, sizes: Sequence[int], count: int) -> list[Link[Any]]:
        """Return new links for so many messages, with milestones among them and at the end."""
        links: list[Link[Any]] = [Link() for _ in range(count)]
        # With a limit the first is one, because those before these messages may be as far back.
        for n in range(self.apart - 1 if self.apart == APART else 0, count, self.apart):
            links[n] = Milestone()
        if self._bytes_apart < inf:
            passed = 0
            for n, size in enumerate(sizes):
                passed += size
                if passed >= self._bytes_apart:
                    links[n] = Milestone()
                    passed = 0
        links[-1] = Milestone()
        return links

    def add(self, marks: list[Mark], before: int, now: float) -> None:
        """Remember some, of which the last has so many bytes before it."""
        for _ in range(len(marks) + _SOME):
            if not self._marks:
                break
            hold = _held(self._marks[0])
            if hold.link is not END:
                break
            self._marks.popleft()
        self._marks.extend(marks)
        self._bytes, self._time = before, now
        self.due = 0 if self._measured else self._marks[-1][0] + self.apart

    @property
    def oldest(self) -> int:
        """The number of the oldest one that was not forgotten; there is one after `add`."""
        return self._marks[0][0]

    def pop(self, far: Far) -> Hold:
        """Return the newest alive of those that are too far back, or `END`; forget the others.

        It is remembered itself, because whoever stands there is awaited by those who send.
        """
        newest, number = Hold(END), 0
        for _ in range(_SOME):
            hold, seq = _held(self._marks[0]), self._marks[0][0]
            following = Hold(hold.link.next or END)
            if following.link is not END:
                if not far(hold.link, seq):
                    break
                newest, number = hold, seq
            elif hold.link.next is None and hold.link is not END:
                break  # the open link
            self._marks.popleft()
        else:  # the limit was lowered: the rest of them is forgotten the next times
            found = _last(self._marks, far)
            if found.link is not END:
                return found
        if newest.link is not END:
            self._marks.appendleft((number, ref(newest.link)))  # type: ignore[arg-type]
        return newest

    def seek(self, start: Hold, seq: int, far: Far) -> tuple[Hold, int]:
        """Return the first link from the start on that is not too far back, and its number.

        Args:
            start: of the part of the chain that is looked through.
            seq: the number of messages before the start.
            far: true for all up to some message, false from there on.

        Cost: a walk of about a thousand links, and a copy of the list of milestones. From any
        thread.
        """
        link = start.link
        for _ in range(APART):  # most are near
            following = link.next
            if not (following and far(link, seq)):
                return Hold(link), seq
            link, seq = following, seq + 1
        # A copy is made in one step, while publishers change it.
        found = _last(self._marks.copy(), far)
        if isinstance(found.link, Milestone) and found.link.seq > seq:
            link, seq = found.link, found.link.seq
        while (following := link.next) and far(link, seq):
            link, seq = following, seq + 1
        return Hold(link), seq

    def first(self, least: int) -> Hold:
        """Return the oldest one alive with that number or a greater one, or `END`.

        From any thread.
        """
        for mark in self._marks.copy():
            if mark[0] >= least:
                hold = _held(mark)
                if hold.link is not END:
                    return hold
        return Hold(END)


def _held(mark: Mark) -> Hold:
    """Return the milestone, or `END` if it is dead.

    Never in a variable: all others who stand there or before may go in this moment.
    """
    return Hold(mark[1]() or END)


def _last(marks: deque[Mark], far: Far) -> Hold:
    """Return the newest one that is too far back, or `END` if it is dead or there is none."""

    def near(mark: Mark) -> bool:
        hold = _held(mark)
        if hold.link is END or isinstance(hold.link.next, Gap):  # dead, or cut off
            return False
        following = Hold(hold.link.next or END)
        return following.link is END or not far(hold.link, mark[0])

    place = bisect_left(marks, True, key=near)
    return _held(marks[place - 1]) if place else Hold(END)
