"""Clients of a hub in a process of their own: some read, and some never do.

Those that read count every byte; a few, the witnesses, decode, and note how late each message came.
Those that never read are watched for the end of their connection.
"""

import json
import select
import socket
import sys
from time import monotonic

from .descriptors import raise_limit
from .hub_server import END, TOPIC
from .ws_clients import Client, Witness, tell, witness_places

SMALL = 4096
"""What the kernel takes for a client that never reads, in bytes."""


def connect(port: int, reading: int) -> list[Client]:
    """Connect those that read, the witnesses evenly among them."""
    places = witness_places(reading)
    return [
        (Witness if number in places else Client)(port, f"/topic/{TOPIC}")
        for number in range(reading)
    ]


def connect_stalled(port: int) -> socket.socket:
    """Connect one that never reads, not even the answer to its handshake."""
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    stalled.connect(("127.0.0.1", port))
    stalled.sendall(
        f"GET /topic/{TOPIC} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return stalled


def receive(port: int, reading: int, stalled: int) -> dict[str, object]:
    """Read until all who read have all, and return how late it was, and when others were cut."""
    clients = {client.socket.fileno(): client for client in connect(port, reading)}
    never = {each.fileno(): each for each in (connect_stalled(port) for _ in range(stalled))}
    witnesses = [client for client in clients.values() if isinstance(client, Witness)]
    poll = select.epoll()
    for descriptor in clients:
        poll.register(descriptor, select.EPOLLIN)
    for descriptor in never:
        poll.register(descriptor, 0)  # that it hangs up is told without being asked for
    cut: list[float] = []
    complete = False
    while not complete:
        for descriptor, _ in poll.poll():
            if descriptor in clients:
                clients[descriptor].receive()
            else:
                cut.append(monotonic())
                poll.unregister(descriptor)
                never.pop(descriptor).close()
        ended = all(witness.messages[-1:] == [END.encode()] for witness in witnesses)
        complete = ended and len({client.bytes for client in clients.values()}) == 1
    late = [
        arrival - float(message.split()[0])
        for witness in witnesses
        for arrival, message in zip(witness.arrivals[:-1], witness.messages[:-1], strict=True)
    ]
    first = float(witnesses[0].messages[0].split()[0])
    return {
        "received": [len(witness.messages) - 1 for witness in witnesses],
        "late": late,
        "cut": [moment - first for moment in cut],
    }


if __name__ == "__main__":
    raise_limit()
    tell(receive(*json.loads(sys.argv[1])))
