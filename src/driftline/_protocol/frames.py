"""Frames: one JSON object each, in a binary frame with bytes beside it."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

Frame = str | bytes
"""What one WebSocket message holds: text as str, binary as bytes."""

_HEAD: Final = 4  # bytes that tell the length of the object in a binary frame


class NotJSON(ValueError):
    """A frame does not hold what every frame holds."""


def read_frame(frame: Frame) -> tuple[dict[str, Any], bytes | None]:
    """Return the object of a frame, and the bytes beside it, or None in a text frame.

    Raises:
        NotJSON: it does not hold an object with a type.
    """
    if isinstance(frame, str):
        return _object(frame), None
    size = int.from_bytes(frame[:_HEAD])
    if len(frame) < _HEAD + size:
        raise NotJSON(
            "a binary frame begins with four bytes, the length of its JSON object; "
            f"this one has {len(frame)} bytes, and says that the object alone has {size}"
        )
    try:
        text = frame[_HEAD : _HEAD + size].decode()
    except UnicodeDecodeError:
        raise NotJSON("the object in a binary frame is not UTF-8") from None
    return _object(text), frame[_HEAD + size :]


def write_frame(fields: dict[str, Any], value: bytes | None = None) -> Frame:
    """Return the frame of an object, a binary one if there are bytes beside it."""
    text = write_json(fields)
    if value is None:
        return text
    head = text.encode()
    return len(head).to_bytes(_HEAD) + head + value


def write_json(value: Any) -> str:
    """Return the shortest JSON of a value; what JSON does not know is written as its `repr`."""
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=repr
        )
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, as in the names of files
        text = json.dumps(value, separators=(",", ":"), default=repr)
    return text


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"the frame is not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise NotJSON('a frame holds a JSON object with a "type"')
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
