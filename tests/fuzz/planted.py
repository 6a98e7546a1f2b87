"""Defects, each planted by a function, that the fuzzer must find."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable

from driftline._bus import names
from driftline._bus.tree import Tree
from driftline._core import message


def a_star_matches_two_words() -> None:
    """Match, as well, the name with two of its tokens taken for one that only "*" can match."""
    match = Tree.match

    def defective(tree: Tree[Hashable], name: str) -> list[Hashable]:
        tokens = name.split(".")
        pairs = [[*tokens[:n], "?", *tokens[n + 2 :]] for n in range(len(tokens) - 1)]
        found = [match(tree, name), *(match(tree, ".".join(merged)) for merged in pairs)]
        return list(dict.fromkeys(key for keys in found for key in keys))

    Tree.match = defective  # type: ignore[method-assign, assignment]


def a_negative_zero_is_a_position() -> None:
    """Take the text of a position for what can be told apart from it."""
    pattern = message._TOKEN.pattern.replace("(0|-?", "(-?0|-?")
    message._TOKEN = re.compile(pattern)  # type: ignore[misc]


def length_is_counted_in_characters() -> None:
    """Take names that are too long in bytes."""

    def defective(what: str, text: str) -> str:
        if len(text) > names.LONGEST:
            raise ValueError(f"{what} has at most {names.LONGEST} bytes")
        return text

    names._checked = defective  # type: ignore[assignment]


DEFECTS: dict[str, Callable[[], None]] = {
    "star": a_star_matches_two_words,
    "zero": a_negative_zero_is_a_position,
    "length": length_is_counted_in_characters,
}
