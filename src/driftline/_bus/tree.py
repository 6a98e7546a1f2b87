"""Which patterns match a name: a tree of their tokens.

To match a name is to walk down from the root, one level for each token, along the token itself and
along "*". The cost is that of the branches that match so far, at most the number of patterns for
each token, and does not depend on the patterns that begin otherwise.

Whoever uses a tree sees to it that nobody else does at the same time. What was interrupted can be
done again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Tree(Generic[K]):
    """Patterns, each with the keys that were added for it."""

    __slots__ = ("_branches", "_ends", "_tails")

    def __init__(self) -> None:
        self._branches: dict[str, Tree[K]] = {}  # by token, "*" among them
        self._ends: dict[K, None] = {}  # of patterns that end here
        self._tails: dict[K, None] = {}  # of patterns that end here with ">"

    def add(self, pattern: str, key: K) -> None:
        """Add a key for a pattern."""
        tree = self
        tokens = pattern.split(".")
        for token in tokens[:-1]:
            tree = tree._branches.setdefault(token, Tree())
        if tokens[-1] == ">":
            tree._tails[key] = None
        else:
            tree._branches.setdefault(tokens[-1], Tree())._ends[key] = None

    def discard(self, pattern: str, key: K) -> None:
        """Take a key for a pattern away, and the branches that nothing else needs."""
        self._discard(pattern.split("."), key)

    def match(self, name: str) -> list[K]:
        """Return the keys of all patterns that match a name, each once, in no special order."""
        found: dict[K, None] = {}
        trees = [self]
        for token in name.split("."):
            below: list[Tree[K]] = []
            for tree in trees:
                found.update(tree._tails)
                for step in (token, "*"):
                    branch = tree._branches.get(step)
                    if branch is not None:
                        below.append(branch)
            trees = below
        for tree in trees:
            found.update(tree._ends)
        return list(found)

    def _discard(self, tokens: Sequence[str], key: K) -> None:
        if not tokens:
            self._ends.pop(key, None)
        elif tokens[0] == ">":
            self._tails.pop(key, None)
        else:
            branch = self._branches.get(tokens[0])
            if branch is not None:
                branch._discard(tokens[1:], key)
                if not (branch._branches or branch._ends or branch._tails):
                    self._branches.pop(tokens[0], None)
