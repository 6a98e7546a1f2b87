"""One frame for all clients that read the same."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from driftline import Message
from driftline.protocol import Delivered, Frame, Missed, write_event, write_json


class Encoder:
    """Makes the frames of one subscription.

    There is one for all clients that have the same, because the fan-out makes a frame once for all
    who were given the same function.
    """

    def __init__(self, to: str) -> None:
        self.to = to

    def encode(self, message: Message[Any]) -> Frame:
        """Return the frame of a message."""
        return write_event(
            Delivered(
                to=self.to,
                topic=message.topic,
                seq=message.seq,
                at=message.published_at,
                value=message.value,
            )
        )

    def tell(self, count: int) -> Frame:
        """Return the frame that says that so many were missed."""
        return write_event(Missed(to=self.to, count=count))


class Encoders:
    """Those that are in use."""

    def __init__(self) -> None:
        self._encoders: WeakValueDictionary[str, Encoder] = WeakValueDictionary()

    def of(self, to: str) -> Encoder:
        """Return that of a subscription."""
        encoder = self._encoders.get(to)
        if encoder is None:
            encoder = self._encoders[to] = Encoder(to)
        return encoder


def encode_plain(value: Any) -> Frame:
    """Return a value as it is, or as JSON if it is neither text nor bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return write_json(value)
