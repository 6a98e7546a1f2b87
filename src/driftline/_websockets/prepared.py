"""A message framed once, and compressed once, for all connections that can share it.

A frame from a server carries no mask, so its bytes depend on the message and on how it is
compressed, and on nothing else of the connection.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final, NamedTuple

from websockets.frames import Opcode

Data = str | bytes | bytearray | memoryview

_FINAL: Final = 0x80
_COMPRESSED: Final = 0x40  # RSV1
_END_OF_FLUSH: Final = 4  # bytes, always the same, which RFC 7692 leaves out


class Compression(NamedTuple):
    """How messages are compressed, each by itself.

    Attributes:
        window_bits: The base-2 logarithm of the window, 9 to 15.
        level: 1 (fast) to 9 (small), or -1 for zlib's default.
        memory_level: 1 (little) to 9 (much).
        least: Messages of fewer bytes are sent as they are, because by themselves they hardly
            shrink.
    """

    window_bits: int
    level: int = -1
    memory_level: int = 5
    least: int = 200

    def compress(self, data: bytes) -> bytes | None:
        """Return the data compressed, or None if that would not make it smaller."""
        if len(data) < self.least:
            return None
        encoder = zlib.compressobj(self.level, zlib.DEFLATED, -self.window_bits, self.memory_level)
        compressed = encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH)
        return compressed[:-_END_OF_FLUSH] if len(compressed) < len(data) else None


class PreparedMessage:
    """A message that is framed once, however many connections it is sent to.

    To send it with what websockets itself offers: `broadcast(connections, message.data,
    text=message.text)`.

    Args:
        data: Text, which is sent as text, or bytes, which are sent as binary.
        text: True sends bytes, which must be UTF-8, as text; False sends text as binary.

    Attributes:
        data: The payload, in bytes.
        text: Whether it is sent as text.

    Raises:
        TypeError: `data` is neither text nor bytes.
        ValueError: it was to be sent as text, and is not UTF-8. Clients would close the connection.
    """

    __slots__ = ("_frames", "data", "text")

    def __init__(self, data: Data, *, text: bool | None = None) -> None:
        self.text: bool = isinstance(data, str) if text is None else text
        self.data: bytes = _checked(data, self.text)
        self._frames: dict[Compression | None, bytes] = {}

    def frame(self, compression: Compression | None = None) -> bytes:
        """Return what goes over the wire, the same object each time.

        Args:
            compression: how, if the connection has negotiated that.
        """
        frame = self._frames.get(compression)
        if frame is None:
            frame = self._frames[compression] = self._make_frame(compression)
        return frame

    def _make_frame(self, compression: Compression | None) -> bytes:
        compressed = compression and compression.compress(self.data)
        if compression and not compressed:
            return self.frame()
        payload = compressed or self.data
        opcode = Opcode.TEXT if self.text else Opcode.BINARY
        first = _FINAL | opcode | (_COMPRESSED if compressed else 0)
        size = len(payload)
        if size < 126:
            return struct.pack("!BB", first, size) + payload
        if size < 65536:
            return struct.pack("!BBH", first, 126, size) + payload
        return struct.pack("!BBQ", first, 127, size) + payload

    def __repr__(self) -> str:
        return f"<PreparedMessage, {len(self.data)} bytes of {'text' if self.text else 'binary'}>"


def _checked(data: Any, text: bool) -> bytes:
    if isinstance(data, str):
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"a message of text must be UTF-8: {error}") from None
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(
            f"a WebSocket message is str or bytes, not {type(data).__name__}; "
            "give encode=, a function that makes it of the value"
        )
    payload = bytes(data)
    if text:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"a message of text must be UTF-8: {error}") from None
    return payload
