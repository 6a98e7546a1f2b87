"""Cutting off who takes nothing.

websockets does not do so: once a connection's buffer is full, its keepalive and its `close()` wait
for the client as long as it takes. Here a timer looks whether what is unsent becomes less, or,
where the system tells, whether the client has acknowledged more.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from websockets.asyncio.connection import Connection
from websockets.protocol import State

from driftline._websockets.wire import abort_now

LOOKS: Final = 8  # in the time after which a connection is cut off
# Where Linux has `tcpi_bytes_acked` in what it tells of a connection.
_INFORMATION: Final = getattr(socket, "TCP_INFO", None)
_ACKNOWLEDGED: Final = 120


class Patience:
    """Aborts a connection that has not taken anything for so many seconds.

    It looks at what is unsent, so it must not look on while more is written: `end` comes before.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.over = False
        self._connection = connection
        self._socket = connection.transport.get_extra_info("socket")
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._acknowledged = 0
        self._since = 0.0

    def begin(self) -> None:
        """Look from now on, until the connection takes what it gets, or is gone."""
        if self._timer is None:
            self._unsent = unsent(self._connection)
            self._acknowledged = acknowledged(self._socket)
            self._since = self._connection.loop.time()
            self._look()

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        connection = self._connection
        now, left = connection.loop.time(), unsent(connection)
        if not left or (not connection.paused and connection.protocol.state is State.OPEN):
            return
        taken = acknowledged(self._socket)
        if left < self._unsent or taken > self._acknowledged:
            self._since = now
        self._unsent, self._acknowledged = left, taken
        if now - self._since >= self._seconds:
            self.over = True
            abort_now(connection)
        else:
            self._timer = connection.loop.call_later(self._seconds / LOOKS, self._look)


def unsent(connection: Connection) -> int:
    """Return how many bytes were written that the kernel has not taken yet."""
    if connection.connection_lost_waiter.done():
        return 0
    return connection.transport.get_write_buffer_size()


def acknowledged(connected: Any) -> int:
    """Return how many bytes the other end of a socket has taken, where the system tells, or 0.

    The kernel takes more from us in large steps, and TLS keeps a buffer that cannot be asked for.
    """
    if _INFORMATION is None or connected is None:
        return 0
    try:
        told = connected.getsockopt(socket.IPPROTO_TCP, _INFORMATION, _ACKNOWLEDGED + 8)
        return int(struct.unpack_from("Q", told, _ACKNOWLEDGED)[0])
    except (OSError, ValueError, struct.error):  # not over TCP, gone, or another system
        return 0
