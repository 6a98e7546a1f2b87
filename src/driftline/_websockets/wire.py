"""What a fan-out needs of a connection of websockets' asyncio server, and whether it is there.

Some of it is not documented. It is the same in all releases from 14.0 on, and it is looked for
before it is used: where something is missing, messages are sent with `send()`, one by one.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Any, Final

from websockets.asyncio.connection import Connection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import SERVER

from driftline._websockets.compression import SharedDeflate

_NEEDED: Final = ("connection_lost_waiter", "drain", "paused", "protocol", "transport")
_NEEDED_OF_THE_PROTOCOL: Final = ("expect_continuation_frame", "extensions", "side", "state")
_UNSENT: Final = 32 * 1024
"""Bytes that the kernel keeps before it sends them. Without a bound it takes megabytes for a client
that reads nothing, and hides for so long that it does not."""

_AT_ONCE: Final = struct.pack("ii", 1, 0)


def can_share(websocket: object) -> bool:
    """Return whether frames made for others can be written to this connection."""
    if not isinstance(websocket, Connection):
        return False
    if not all(hasattr(websocket, name) for name in _NEEDED):
        return False
    protocol = websocket.protocol
    if not all(hasattr(protocol, name) for name in _NEEDED_OF_THE_PROTOCOL):
        return False
    known = SharedDeflate, PerMessageDeflate
    return protocol.side is SERVER and all(type(each) in known for each in protocol.extensions)


def compression_of(websocket: Connection) -> Any:
    """Return the compression that it shares with others, or None: it gets plain frames.

    With the compressor that websockets itself negotiates, plain frames may be mixed in, and no
    others.
    """
    for extension in websocket.protocol.extensions:
        if isinstance(extension, SharedDeflate):
            return extension.compression
    return None


def bound_unsent(websocket: Connection) -> None:
    """Have the kernel take little for a client that reads nothing, where the system can."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    connected = websocket.transport.get_extra_info("socket")
    if option is not None and connected is not None:
        with suppress(OSError, ValueError):  # not over TCP, or gone; uvloop says so in its own way
            if not 0 < connected.getsockopt(socket.IPPROTO_TCP, option) < _UNSENT:
                connected.setsockopt(socket.IPPROTO_TCP, option, _UNSENT)


def abort_now(websocket: Any) -> None:
    """End a connection of the asyncio server, and let the kernel forget what is unsent, too.

    Otherwise it would keep that for a client that takes nothing, for minutes, and the client would
    not be told.
    """
    connected = websocket.transport.get_extra_info("socket")
    if connected is not None:
        with suppress(OSError, ValueError):  # it is gone; uvloop says so with a ValueError
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    websocket.transport.abort()


def fragments_end(websocket: Connection) -> Any:
    """Return the future of the end of a fragmented message that is being sent, or None."""
    # It was renamed in websockets 16.
    name = (
        "send_in_progress" if hasattr(websocket, "send_in_progress") else "fragmented_send_waiter"
    )
    return getattr(websocket, name, None)
