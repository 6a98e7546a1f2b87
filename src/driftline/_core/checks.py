"""Checking what callers give: each raises an error that says what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isnan
from sys import maxsize
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


def checked_count(name: str, value: int, *, least: int, what: str = "messages") -> int:
    """Return a number of messages that an argument gives."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a number of {what}, an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a number of {what}, {least} or more, not {value}")
    return value


def check_name(what: str, name: object) -> None:
    """Check the name of something."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a {what} is text, not {type(name).__name__}: {name!r}")


def checked_size(sizeof: Callable[[T], int], value: T) -> int:
    """Return the size of a value in bytes."""
    size = sizeof(value)
    if not isinstance(size, int):
        raise TypeError(f"sizeof must return an int, the size in bytes; it returned {size!r}")
    if size < 0:
        raise ValueError(f"sizeof must return a size of 0 or more; it returned {size}")
    if size > maxsize:
        raise ValueError("sizeof must return the size in bytes; it returned more than there can be")
    return size


def checked_limit(
    name: str, value: float | None, *, whole: str | None = None, sizeof: Any = len
) -> float:
    """Return a limit that an argument gives, `inf` for None.

    Args:
        name: of the argument.
        value: what was given.
        whole: what it counts, if it counts something.
        sizeof: of the topic; None refuses a limit in bytes.
    """
    if value is None:
        return inf
    wanted = f"{name} is a number of {whole or 'seconds'} greater than 0, or None for no limit"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise TypeError(f"{wanted}, not {value!r}")
    if not 0 < value <= maxsize and value != inf:
        raise ValueError(f"{wanted}, not {value}")
    if sizeof is None:
        raise ValueError(f"{name} needs to know sizes: give the topic a `sizeof`, such as `len`")
    return value


def checked_seconds(name: str, value: float) -> float:
    """Return a number of seconds that an argument gives."""
    wanted = f"{name} is a number of seconds greater than 0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{wanted}, not {value!r}")
    if not 0 < value <= maxsize:
        raise ValueError(f"{wanted}, not {value}")
    return value


def checked_deadline(timeout: float | None) -> float:
    """Return when so many seconds are over, by `monotonic`; None and what is too long are never."""
    if timeout is None:
        return inf
    seconds = min(max(timeout, -1), maxsize)
    if isnan(seconds):
        raise ValueError("timeout is a number of seconds or None, not NaN")
    return monotonic() + seconds


def checked_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """Return one of several words."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")
    return value
