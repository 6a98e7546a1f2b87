"""What the topics of one bus have in common: an inbox, a turn, and the patterns.

All topics of a bus publish through one inbox. So all messages of a bus have one order, whatever
their topics, and whoever has the turn may put a message into several chains: nobody else changes
any of them meanwhile.

Invariants:

W1. Only who has the turn looks into the tree or changes it. Others note what is to be changed in
    `changes`, which is one atomic step, and who has the turn makes these changes before it looks.
W2. A stream is noted before anybody can find it. So what is published after somebody has
    subscribed finds its pattern in the tree.
W3. Each name, and each set of patterns, has one topic at a time. Only the dead are removed, in one
    step that looks whether they are dead, and only what is absent is added.
W4. What dies takes nothing with it that others need: publishing passes over streams that are dead.
"""

from __future__ import annotations

from _weakref import _remove_dead_weakref as remove_if_dead  # type: ignore[attr-defined]
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from driftline._bus.tree import Tree
from driftline._core.turn import Turn

if TYPE_CHECKING:
    from driftline._bus.kept import Kept
    from driftline._bus.topics import BusTopic, Stream
    from driftline._core.topic import Entry, Topic

V = TypeVar("V", bound="Topic[Any]")

Patterns = tuple[str, ...]


class Joint:
    """That of one bus. Topics and streams hold it; it holds them weakly."""

    __slots__ = (
        "__weakref__",
        "_kept",
        "_tree",
        "changes",
        "inbox",
        "members",
        "named",
        "published",
        "streams",
        "turn",
        "version",
    )

    def __init__(self, kept: Kept) -> None:
        self._kept = ref(kept)
        self.inbox: deque[Entry] = deque()
        self.turn = Turn()
        self.members: dict[ref[Topic[Any]], None] = {}  # also those that were closed
        self.named: dict[str, ref[BusTopic[Any]]] = {}
        self.streams: dict[Patterns, ref[Stream]] = {}
        self.changes: deque[tuple[bool, Patterns, ref[Stream]]] = deque()
        self.version = 0  # of the patterns
        self.published = 0
        self._tree: Tree[ref[Stream]] = Tree()

    def topic(self, name: str, make: Callable[[], BusTopic[Any]]) -> BusTopic[Any]:
        """Return the topic of a name; make it if there is none. From any thread."""
        return self._find(self.named, name, make)

    def stream(self, patterns: Patterns, make: Callable[[], Stream]) -> Stream:
        """Return the stream of some patterns; make it if there is none. From any thread."""
        stream = self._find(self.streams, patterns, make)
        stream.settle()
        return stream

    def topics(self) -> list[BusTopic[Any]]:
        """Return the live topics that were not closed, in any order."""
        live = (reference() for reference in self.named.copy().values())
        return [topic for topic in live if topic is not None]

    def live(self) -> list[Topic[Any]]:
        """Return all that are alive, topics and streams, also closed ones, by name."""
        live = (reference() for reference in self.members.copy())
        return sorted((topic for topic in live if topic is not None), key=attrgetter("name"))

    def matching(self, name: str) -> list[ref[Stream]]:
        """Return the streams whose patterns match. Only who has the turn may."""
        self.settle()
        return self._tree.match(name)

    def settle(self) -> None:
        """Make the changes that were noted. Only who has the turn may."""
        while self.changes:
            live, patterns, stream = self.changes[0]
            for pattern in patterns:
                (self._tree.add if live else self._tree.discard)(pattern, stream)
            self.version += 1
            self.changes.popleft()

    def park(self, topic: Topic[Any]) -> None:
        """Have a topic held, because a place in it is."""
        kept = self._kept()
        if kept is not None:
            kept.park(topic)

    def let_go(self, topic: BusTopic[Any]) -> None:
        """No longer keep a topic that was closed. Twice does no harm."""
        kept = self._kept()
        if kept is not None and kept.topics.get(topic.name) is topic:
            kept.topics.pop(topic.name, None)

    def _find(self, where: dict[Any, ref[V]], key: str | Patterns, make: Callable[[], V]) -> V:
        while True:
            remove_if_dead(where, key)
            reference = where.get(key)
            if reference is None:
                new = make()
                reference = self._reference(new, key)
                reference = where.setdefault(key, reference)
            found = reference()
            if found is not None:
                return found

    def _reference(self, new: V, key: str | Patterns) -> ref[V]:
        weakly = ref(self)

        def forget(reference: ref[Any]) -> None:
            joint = weakly()
            if joint is not None:
                joint.members.pop(reference, None)
                if isinstance(key, str):
                    remove_if_dead(joint.named, key)
                else:
                    remove_if_dead(joint.streams, key)
                    joint.changes.append((False, key, reference))

        reference: ref[Any] = ref(new, forget)
        self.members[reference] = None
        if not isinstance(key, str):
            self.changes.append((True, key, reference))  # W2
        return reference
