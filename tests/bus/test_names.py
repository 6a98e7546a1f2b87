"""What topics may be called, what patterns may ask for, and what matches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Bus, Subscription
from driftline._bus.names import check_topic_name, checked_patterns
from driftline._bus.tree import Tree

NO_TEXT = [None, 7, b"orders", ["orders"], ("a", "b"), {}, object()]
NO_NAMES = {
    "": "empty",
    ".": "token is empty",
    ".a": "token is empty",
    "a.": "token is empty",
    "a..b": "token is empty",
    "a b": "white space",
    "a\tb": "white space",
    "a\u00a0b": "white space",
    "a\u2028b": "white space",
    "a\nb": "white space",
    "a\n": "white space",
    "a\0": "control",
    "a\x7f": "control",
    "a\x85b": "control",
    "a.\ud800": "surrogate",
    "\udcff": "surrogate",
    "a" * 256: "255 bytes",
    "é" * 128: "255 bytes",
}
WILD = {
    "*": "patterns",
    "a.*": "patterns",
    ">": "patterns",
    "a.>": "patterns",
    "a*": "patterns",
    "a>b.c": "patterns",
}
NO_PATTERNS = NO_NAMES | {
    ">.a": "last token",
    "a.>.b": "last token",
    ">.>": "last token",
    "a*": "whole tokens",
    "a.**": "whole tokens",
    "a.b>": "whole tokens",
    "*a.b": "whole tokens",
}
NAMES = ["a", "a.b", "orders.eu.created", "é.ü", "\U0001f600", "a" * 255, "-", "a,b;c", "a:1/2"]

USES: dict[str, Callable[[Bus, Any], object]] = {
    "topic": lambda bus, name: bus.topic(name),
    "publish": lambda bus, name: bus.publish(name, 1),
    "publish_many": lambda bus, name: bus.publish_many(name, [1]),
}
ASKS: dict[str, Callable[[Bus, Any], object]] = {
    "subscribe": lambda bus, pattern: bus.subscribe(pattern),
    "one of several": lambda bus, pattern: bus.subscribe("good", pattern),
    "expect": lambda bus, pattern: bus.expect(pattern),
}


def nothing_was_made(bus: Bus) -> bool:
    joint = bus._joint
    return not any([joint.named, joint.streams, joint.members, joint.changes])


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(("name", "why"), (NO_NAMES | WILD).items(), ids=repr)
def test_e8_what_cannot_be_a_name_is_refused_and_makes_nothing(
    use: Callable[[Bus, Any], object], name: str, why: str
) -> None:
    bus = Bus()
    with pytest.raises(ValueError, match=why):
        use(bus, name)
    assert nothing_was_made(bus)


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize(("pattern", "why"), NO_PATTERNS.items(), ids=repr)
def test_e8_what_cannot_be_a_pattern_is_refused_and_makes_nothing(
    ask: Callable[[Bus, Any], object], pattern: str, why: str
) -> None:
    bus = Bus()
    with pytest.raises(ValueError, match=why):
        ask(bus, pattern)
    assert nothing_was_made(bus)


@pytest.mark.parametrize("use", (USES | ASKS).values(), ids=USES | ASKS)
@pytest.mark.parametrize("name", NO_TEXT, ids=repr)
def test_e8_what_is_not_text_is_refused_and_makes_nothing(
    use: Callable[[Bus, Any], object], name: object
) -> None:
    bus = Bus()
    with pytest.raises(TypeError, match="is text, not"):
        use(bus, name)
    assert nothing_was_made(bus)


def test_e8_a_subscription_needs_a_pattern() -> None:
    with pytest.raises(TypeError, match="one pattern or more"):
        Bus().subscribe()


@pytest.mark.parametrize("name", NAMES)
def test_these_are_names_and_patterns(name: str) -> None:
    check_topic_name(name)
    assert checked_patterns((name, name)) == (name,)


CHARACTERS = st.characters() | st.sampled_from("ab.*> \t\0\ud800é")
NEARLY_TOO_LONG = st.builds(
    lambda text, character, times: text + character * times,
    st.text(CHARACTERS, max_size=3),
    st.sampled_from("aé€\U0001f600"),
    st.sampled_from([62, 63, 64, 84, 85, 86, 126, 127, 128, 252, 253, 254, 255, 256]),
)
ANY_TEXT = (
    st.text(CHARACTERS, max_size=12)
    | st.text(st.sampled_from("ab.*>"), max_size=8)
    | NEARLY_TOO_LONG
)


def may_be_a_name(text: str) -> bool:
    """Say slowly what a name is."""
    return (
        0 < len(text.encode("utf-8", "surrogatepass")) <= 255
        and all(text.split("."))
        and not any(
            character in "*>"
            or character.isspace()
            or ord(character) < 32
            or 127 <= ord(character) < 160
            or 0xD800 <= ord(character) < 0xE000
            for character in text
        )
    )


def may_be_a_pattern(text: str) -> bool:
    *tokens, last = text.split(".")
    plain = [token for token in [*tokens, last] if token != "*" and (token, last) != (">", ">")]
    return (
        len(text.encode("utf-8", "surrogatepass")) <= 255
        and ">" not in tokens
        and all(may_be_a_name(token) for token in plain)
    )


@given(ANY_TEXT)
def test_e8_any_text_is_taken_or_refused_as_a_name_and_as_a_pattern(text: str) -> None:
    bus = Bus()
    if may_be_a_name(text):
        bus.topic(text)
    else:
        with pytest.raises(ValueError, match="name of a topic"):
            bus.topic(text)
        assert nothing_was_made(bus)
    if may_be_a_pattern(text):
        bus.subscribe(text)
    else:
        with pytest.raises(ValueError, match="pattern"):
            bus.subscribe(text)
        assert nothing_was_made(bus)


# Matching.

TOKENS = st.sampled_from(["a", "b", "aa", "c"])
SOME_NAMES = st.lists(TOKENS, min_size=1, max_size=5).map(".".join)
SOME_PATTERNS = st.builds(
    lambda tokens, last: ".".join([*tokens, last]),
    st.lists(TOKENS | st.just("*"), max_size=4),
    TOKENS | st.sampled_from(["*", ">"]),
)
SOME_SETS = st.lists(SOME_PATTERNS, min_size=1, max_size=3)


def matches(pattern: Sequence[str], name: Sequence[str]) -> bool:
    """Say slowly which names a pattern matches."""
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] == ">":
        return len(pattern) == 1
    return pattern[0] in {"*", name[0]} and matches(pattern[1:], name[1:])


@given(st.lists(st.tuples(SOME_PATTERNS, st.booleans()), max_size=12), st.lists(SOME_NAMES))
def test_a_tree_matches_what_the_slow_reference_matches(
    changes: list[tuple[str, bool]], names: list[str]
) -> None:
    tree: Tree[str] = Tree()
    patterns: set[str] = set()
    for pattern, more in changes:
        if more:
            tree.add(pattern, pattern)
            patterns.add(pattern)
        else:
            tree.discard(pattern, pattern)
            patterns.discard(pattern)
    for name in names:
        expected = {pattern for pattern in patterns if matches(pattern.split("."), name.split("."))}
        found = tree.match(name)
        assert set(found) == expected
        assert len(found) == len(expected)
    for pattern in patterns:
        tree.discard(pattern, pattern)
    assert (tree._branches, tree._tails, tree._ends) == ({}, {}, {}), "what nothing needs is kept"


@given(
    st.lists(
        SOME_NAMES.map(lambda name: ("publish", name))
        | SOME_SETS.map(lambda patterns: ("subscribe", patterns))
        | st.integers(0, 5).map(lambda index: ("close", index)),
        max_size=15,
    )
)
def test_a_bus_delivers_what_the_slow_reference_matches_once(steps: list[tuple[str, Any]]) -> None:
    """Topics remember who matches them, and patterns come and go."""
    bus = Bus()
    readers: list[tuple[list[str], list[str], Subscription[Any]]] = []
    for step, argument in steps:
        if step == "publish":
            bus.publish(argument, argument)
            for patterns, expected, _ in readers:
                if any(matches(pattern.split("."), argument.split(".")) for pattern in patterns):
                    expected.append(argument)
        elif step == "subscribe":
            readers.append((argument, [], bus.subscribe(*argument)))
        elif argument < len(readers):
            readers.pop(argument)[-1].close()
    for _, expected, subscription in readers:
        messages = subscription.messages()
        got = [next(messages) for _ in range(subscription.lag)]
        assert [message.value for message in got] == expected
        assert [message.topic for message in got] == expected


def steps_to_match(patterns: Sequence[str], name: str) -> int:
    """Count the lines that run."""
    tree: Tree[str] = Tree()
    for pattern in patterns:
        tree.add(pattern, pattern)
    steps = 0

    def trace(frame: object, event: str, argument: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        tree.match(name)
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize("form", ["*", "a", "stairs", "both"])
def test_e9_matching_takes_time_linear_in_the_length_of_name_and_patterns(form: str) -> None:
    def steps(tokens: int) -> int:
        wild = [".".join(["*"] * n + ["a"] * (tokens - n)) for n in range(8)]
        patterns = {
            "*": [".".join(["*"] * tokens)],
            "a": [".".join(["a"] * tokens)],
            "stairs": wild,
            "both": [
                *wild,
                ".".join(["*", "a"] * (tokens // 2)),
                ".".join(["a", "*"] * (tokens // 2)),
            ],
        }[form]
        return steps_to_match(patterns, ".".join("a" * tokens))

    assert steps(60) <= 2.5 * steps(30)
    assert steps(120) <= 2.5 * steps(60)
