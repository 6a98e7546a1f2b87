"""A WebSocket client that reads when it is told to, and for which the kernel takes little."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from driftline.hub import Hub
from driftline.protocol import SUBPROTOCOL, Subscribe, Subscribed, parse_event, write_request

LARGE = "x" * 64 * 1024
"""A few of these are more than all buffers on the way take."""


@contextmanager
def reading(hub: Hub, request: Subscribe) -> Iterator[ClientConnection]:
    """Subscribe, and read nothing more."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.connect(("127.0.0.1", hub.port))
    with connect(
        hub.url,
        sock=listening,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        max_queue=1,
        ping_interval=None,
        close_timeout=1,
    ) as client:
        client.send(write_request(request))
        assert isinstance(parse_event(client.recv()), Subscribed)
        yield client
