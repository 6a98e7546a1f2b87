"""What topics of a bus may be called, and what patterns may ask for.

A name is tokens joined by dots, as in "orders.eu.created". In a pattern, the token "*" stands for
any one token, and ">" at the end for one or more, as in NATS.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 255  # bytes in UTF-8

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
_SURROGATE: Final = r"\ud800-\udfff"
_TOKEN: Final = rf"[^\s.*>{_CONTROL}{_SURROGATE}]+"
_NAME: Final = re.compile(rf"{_TOKEN}(?:\.{_TOKEN})*")
_PATTERN: Final = re.compile(rf"(?:(?:\*|{_TOKEN})\.)*(?:\*|>|{_TOKEN})")


def check_topic_name(name: object) -> None:
    """Refuse what cannot be the name of a topic."""
    text = _checked("the name of a topic", name)
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot be the name of a topic: {_what_is_wrong(text)}")


def checked_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns in order, each once."""
    if not patterns:
        raise TypeError('give one pattern or more, such as "orders.*" or ">"')
    for pattern in patterns:
        text = _checked("a pattern", pattern)
        if not _PATTERN.fullmatch(text):
            raise ValueError(f"{text!r} cannot be a pattern: {_what_is_wrong(text, pattern=True)}")
    return tuple(sorted(set(patterns)))


def is_name(pattern: str) -> bool:
    """Return whether a pattern has no wildcard, so that it matches one name."""
    return "*" not in pattern and not pattern.endswith(">")


def _checked(what: str, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is text, not {type(text).__name__}: {text!r}")
    if len(text) > LONGEST or len(text.encode("utf-8", "surrogatepass")) > LONGEST:
        raise ValueError(f"{what} has at most {LONGEST} bytes: {text[:40]!r}... has more")
    return text


def _what_is_wrong(text: str, *, pattern: bool = False) -> str:
    if not text:
        return "it is empty"
    tokens = text.split(".")
    if "" in tokens:
        return "a token is empty; tokens are joined by single dots"
    if re.search(rf"[\s{_CONTROL}]", text):
        return "it has white space or a control character"
    if re.search(rf"[{_SURROGATE}]", text):
        return "it has a lone surrogate, which is no character"
    if not pattern:
        return "* and > are for patterns, in subscribe"
    if ">" in tokens[:-1]:
        return "> can only be the last token"
    return "* and > stand for whole tokens, as in a.*.c and a.>"
