"""permessage-deflate in a form in which connections can share compressed messages.

As websockets negotiates it, each connection has a compressor of its own, which refers back to what
it has compressed before: no two connections ever send the same bytes. RFC 7692 (7.2.1) leaves it
to the sender whether it refers back. A sender that never does can compress once for everybody, and
needs no memory for each connection. Small messages become larger that way, so they are sent plain.

It must hold for all that is sent on a connection: a client that may refer back would, after one
shared message, look for everything else in the wrong place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.typing import ExtensionParameter

from driftline._websockets.prepared import Compression

_Last = tuple[bytes, bytes | None]


class SharedDeflate(PerMessageDeflate):
    """The extension on one connection: never refers back, and compresses what others have not."""

    def __init__(
        self,
        negotiated: PerMessageDeflate,
        compression: Compression,
        last: dict[Compression, _Last],
    ) -> None:
        super().__init__(
            negotiated.remote_no_context_takeover,
            True,
            negotiated.remote_max_window_bits,
            negotiated.local_max_window_bits,
            {"level": compression.level, "memLevel": compression.memory_level},
        )
        self.compression = compression
        self._last = last

    def encode(self, frame: Frame) -> Frame:
        """Encode a frame; a whole message is taken from who had the same one just before."""
        if frame.opcode in CTRL_OPCODES or frame.opcode is Opcode.CONT or not frame.fin:
            return super().encode(frame)
        data = frame.data
        last = self._last.get(self.compression)
        if last is not None and last[0] is data:
            compressed = last[1]
        else:
            compressed = self.compression.compress(bytes(data))
            if type(data) is bytes:  # others can change while they keep their identity
                self._last[self.compression] = data, compressed
        if compressed is None:
            return frame
        return Frame(frame.opcode, compressed, frame.fin, True, frame.rsv2, frame.rsv3)


class ServerSharedDeflateFactory(ServerPerMessageDeflateFactory):
    """Negotiates permessage-deflate with clients, so that connections share compressed messages.

    For `websockets.serve(..., extensions=[ServerSharedDeflateFactory()], compression=None)`. It
    also makes websockets' own `broadcast()` cheaper, which then compresses a message once, and
    saves the memory of one compressor for each connection.

    Args:
        level: 1 (fast) to 9 (small), or -1 for zlib's default.
        memory_level: 1 (little memory while compressing) to 9 (much).
        window_bits: 9 to 15; 12 is a window of 4 KiB. Clients may ask for less.
        least: messages of fewer bytes are sent plain.
    """

    def __init__(
        self, *, level: int = -1, memory_level: int = 5, window_bits: int = 12, least: int = 200
    ) -> None:
        if level not in range(-1, 10):
            raise ValueError(f"level is -1 to 9, not {level!r}")
        if memory_level not in range(1, 10):
            raise ValueError(f"memory_level is 1 to 9, not {memory_level!r}")
        if window_bits not in range(9, 16):
            raise ValueError(f"window_bits is 9 to 15, not {window_bits!r}")
        super().__init__(
            server_max_window_bits=window_bits,
            client_max_window_bits=window_bits,
            compress_settings={"level": level, "memLevel": memory_level},
        )
        self._compression = Compression(window_bits, level, memory_level, least)
        self._last: dict[Compression, _Last] = {}

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Answer what a client asks for, as websockets does."""
        if ("server_max_window_bits", "8") in params:
            # zlib cannot make it, which websockets knows from 17.1 on.
            raise NegotiationError("unsupported server_max_window_bits = 8, use 9")
        answer, negotiated = super().process_request_params(params, accepted_extensions)
        compression = self._compression._replace(window_bits=negotiated.local_max_window_bits)
        return answer, SharedDeflate(negotiated, compression, self._last)


def serve_options(**options: Any) -> dict[str, Any]:
    """Return the arguments for `websockets.serve` with which all connections share their frames.

    `serve(handler, host, port, **serve_options())`. Without it everything works as well: messages
    are then sent uncompressed by the fan-out.

    Args:
        options: those of `ServerSharedDeflateFactory`.
    """
    return {"extensions": [ServerSharedDeflateFactory(**options)], "compression": None}
