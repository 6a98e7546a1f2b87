"""Checking what callers give: each raises an error that says what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def checked_count(name: str, value: int, *, least: int) -> int:
    """Return a number of messages that an argument gives."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a number of messages, an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is a number of messages, {least} or more, not {value}")
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
    return size
