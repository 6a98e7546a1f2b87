"""Frames: one JSON object each, in a binary frame with bytes beside it."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final, NoReturn

Frame = str | bytes
"""What one WebSocket message holds, text as str and binary as bytes."""

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


def write_frame(kind: str, said: Any) -> Frame:
    """Return the frame of a request or an event: its fields that are there, and its type.

    Bytes that are its value stand beside the object.
    """
    fields: dict[str, Any] = {"type": kind}
    beside = None
    for name in said.__slots__:
        value = getattr(said, name)
        if name != "value":
            if value is not None:
                fields[name] = value
        elif isinstance(value, bytes | bytearray | memoryview):
            beside = bytes(value)
        else:
            fields[name] = value
    try:
        text = _dumps(fields)
    except Exception:  # what the value raises, if it is asked for its form, is its own affair
        text = _dumps(fields | {"value": _in_words(fields.get("value"))})
    if beside is None:
        return text
    head = text.encode()
    return len(head).to_bytes(_HEAD) + head + beside


def write_json(value: Any) -> str:
    """Return the shortest JSON of a value.

    What JSON has no form for is written as its `repr`: an object in it for itself; and the whole of
    what has numbers that are not finite, keys that are not text, or itself in it.
    """
    try:
        return _dumps(value)
    except Exception:  # what it raises, if it is asked for its form, is its own affair
        return _dumps(_in_words(value))


def _dumps(value: Any) -> str:
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_in_words
    )
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, as in the names of files
        text = json.dumps(value, separators=(",", ":"), default=_in_words)
    return text


def _in_words(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return object.__repr__(value)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"the frame is not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise NotJSON('a frame holds a JSON object with a "type"')
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        _refuse(digits[:40])
    return number


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number} is no number that JSON can hold")
