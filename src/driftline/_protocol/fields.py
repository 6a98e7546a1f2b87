"""What may stand in a request: each field is checked once, and what is wrong is said in words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, Literal

from driftline._protocol.frames import write_json

Id = str | int
Code = Literal["bad-request", "not-json", "not-allowed", "too-many", "lost", "closed"]

LONGEST_ID: Final = 64
LONGEST_TEXT: Final = 1024
MOST_PATTERNS: Final = 32
_LARGEST: Final = 2**53  # beyond it, numbers of JavaScript are not exact


class ProtocolError(Exception):
    """A frame is not as the protocol says.

    Attributes:
        code: What kind of error it is, as in docs/protocol.md.
        reason: What is wrong, for people.
        id: That of the request, if it has one.
        missed: How many messages are lost, with "lost", if that is known.
    """

    def __init__(
        self, code: Code, reason: str, request: Id | None = None, missed: int | None = None
    ) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason
        self.id = request
        self.missed = missed


class Fields:
    """The fields of an object that have not been read yet."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._left = {key: value for key, value in fields.items() if key != "type"}
        self.type: str = fields["type"]
        self.id: Id | None = None
        self.id = self._read("id", "text of at most 64 characters, or a whole number", _is_id)

    def text(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """Return text that must be there."""
        found = self.optional_text(name, longest=longest)
        if found is None:
            raise self.error(f"{self.type} needs {name}")
        return found

    def optional_text(self, name: str, *, longest: int = LONGEST_TEXT) -> str | None:
        """Return text, or None."""
        found: str | None = self._read(
            name,
            f"text of at most {longest} characters",
            lambda value: isinstance(value, str) and len(value) <= longest,
        )
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts that must be there, with one at least."""
        found = self._read(name, f"a list of 1 to {MOST_PATTERNS} texts", _are_texts)
        if found is None:
            raise self.error(f"{self.type} needs {name}")
        return tuple(found)

    def one_of(self, name: str, choices: Collection[str]) -> str | None:
        """Return one of several texts, or None."""
        found: str | None = self._read(
            name,
            "one of " + ", ".join(f'"{choice}"' for choice in choices),
            lambda value: isinstance(value, str) and value in choices,
        )
        return found

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return a whole number, or None."""
        found: int | None = self._read(
            name,
            f"a whole number, {least} or more",
            lambda value: type(value) is int and least <= value <= _LARGEST,
        )
        return found

    def needed_whole(self, name: str) -> int:
        """Return a whole number that must be there."""
        found = self.whole(name)
        if found is None:
            raise self.error(f"{self.type} needs {name}")
        return found

    def seconds(self, name: str, *, most: float = _LARGEST) -> float | None:
        """Return a number of seconds, or None."""
        bound = "" if most == _LARGEST else f", and at most {most:g}"
        found: float | None = self._read(
            name,
            f"a number of seconds, more than 0{bound}",
            lambda value: type(value) in {int, float} and 0 < value <= most,
        )
        return found

    def value(self, beside: bytes | None) -> Any:
        """Return any JSON that must be there, or the bytes that are beside the object."""
        if beside is not None:
            if "value" in self._left:
                raise self.error("in a binary frame, the value is beside the object, and not in it")
            return beside
        if "value" not in self._left:
            raise self.error(f"{self.type} needs a value")
        return self._left.pop("value")

    def end(self, beside: bytes | None = None) -> None:
        """Refuse what is left."""
        if self._left:
            raise self.error(f"{self.type} has no field {_shown(min(self._left))}")
        if beside is not None:
            raise self.error(f"{self.type} has no bytes beside it; send it as text")

    def error(self, reason: str) -> ProtocolError:
        """Return the error of a request that says something wrong."""
        return ProtocolError("bad-request", reason, self.id)

    def _read(self, name: str, kind: str, fits: Callable[[Any], bool]) -> Any:
        value = self._left.pop(name, None)
        if value is not None and not fits(value):
            raise self.error(f"{name} is {kind}, not {_shown(value)}")
        return value


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_ID
    return type(value) is int and abs(value) <= _LARGEST


def _are_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= MOST_PATTERNS
        and all(isinstance(each, str) and len(each) <= LONGEST_TEXT for each in value)
    )


def _shown(value: Any) -> str:
    text = write_json(value)
    return text if len(text) <= 40 else text[:37] + "..."
