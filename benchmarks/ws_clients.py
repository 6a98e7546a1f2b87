"""WebSocket clients in a process of their own, which count every byte and cost the server nothing.

Most only count bytes: clients that decode would compete with the server for the machine. A few,
the witnesses, spread over all, also decode with websockets' own client protocol, and every message
is compared. All clients of a group are sent the same, so each must have as many bytes as a witness.

It is asked on standard input, and answers on standard output, in lines of JSON.
"""

import json
import selectors
import socket
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from .descriptors import raise_limit
from .ws_messages import messages

SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"
"""The path at which a server speaks Socket.IO, and its clients with it."""

WITNESSES = 5
QUIET = 0.02
"""Seconds in which nothing more may come when all is there."""

BUFFER = memoryview(bytearray(1 << 20))


class Group(NamedTuple):
    """Clients of one server."""

    port: int
    clients: int
    stalled: int = 0
    """How many of them, the last ones, never read."""
    witnesses: int = WITNESSES
    path: str = ""


class Question(NamedTuple):
    """Has each client of a group received exactly these messages since the last question?"""

    group: int
    first: int
    how_many: int
    size: int
    patience: float
    """Seconds without one byte after which the missing ones are taken for lost."""


class Answer(NamedTuple):
    """What was received."""

    bytes: int
    """By each client."""
    arrivals: list[list[float]]
    """For each witness, when each message came."""
    wrong: str
    """What is wrong; empty if nothing is."""


class Client:
    """A client that counts the bytes that it receives."""

    def __init__(self, port: int, path: str = "") -> None:
        self.bytes = 0
        self.socket_io = path == SOCKET_IO
        self.socket = socket.create_connection(("127.0.0.1", port))
        # Servers of Socket.IO would compress, and cannot be told not to.
        deflate = ClientPerMessageDeflateFactory(client_max_window_bits=True)
        self.protocol = ClientProtocol(
            parse_uri(f"ws://127.0.0.1:{port}{path}"),
            extensions=None if self.socket_io else [deflate],
            max_size=None,
        )
        self.protocol.send_request(self.protocol.connect())
        self.socket.sendall(b"".join(self.protocol.data_to_send()))
        while self.protocol.state is State.CONNECTING:
            self.protocol.receive_data(self.socket.recv(1 << 16))
        if self.protocol.state is not State.OPEN:
            raise ConnectionError("no handshake") from self.protocol.handshake_exc
        [_, *frames] = self.protocol.events_received()  # behind the response
        if self.socket_io:
            self._join(len(frames))
        self.socket.setblocking(False)
        # After some messages the kernel delays acknowledgements by itself. On the loopback each
        # costs the server, so that otherwise the first turns, and short ones, would cost it more.
        if hasattr(socket, "TCP_QUICKACK"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def _join(self, received: int) -> None:
        """Wait for what opens Engine.IO, enter the namespace of Socket.IO, and be let in."""
        self.protocol.send_text(b"40")
        self.socket.sendall(b"".join(self.protocol.data_to_send()))
        while received < 2:
            self.protocol.receive_data(self.socket.recv(1 << 16))
            received += len(self.protocol.events_received())

    def receive(self) -> int:
        """Take what has come, and return how many bytes that were."""
        size = self.socket.recv_into(BUFFER)
        if not size:
            raise ConnectionError("the server has closed a connection")
        self.bytes += size
        return size


class Witness(Client):
    """A client that also decodes what it receives, and notes when it came."""

    def __init__(self, port: int, path: str = "") -> None:
        super().__init__(port, path)
        self.messages: list[bytes] = []
        self.arrivals: list[float] = []

    def receive(self) -> int:
        size = super().receive()
        now = monotonic()
        self.protocol.receive_data(bytes(BUFFER[:size]))
        for frame in self.protocol.events_received():
            assert isinstance(frame, Frame)
            data = bytes(frame.data)
            self.messages.append(event(data) if self.socket_io else data)
            self.arrivals.append(now)
        return size


def event(data: bytes) -> bytes:
    """Return what a packet of Socket.IO brings: of Engine.IO a message (4), in it an event (2)."""
    if not data.startswith(b"42"):
        return data
    [_, text] = json.loads(data[2:])
    return str(text).encode()


def witness_places(reading: int, witnesses: int = WITNESSES) -> set[int]:
    """Return which of so many clients that read are witnesses: a few, evenly among them."""
    last = max(1, min(witnesses, reading) - 1)
    return {(reading - 1) * place // last for place in range(last + 1)}


class Clients:
    """All of them, and what they have received since they were last asked."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = [self._connect(group) for group in groups]
        self.selector = selectors.DefaultSelector()
        for group, clients in zip(groups, self.groups, strict=True):
            for client in clients[: group.clients - group.stalled]:
                self.selector.register(client.socket, selectors.EVENT_READ, client.receive)
            self.stalled = [clients.pop() for _ in range(group.stalled)]

    def _connect(self, group: Group) -> list[Client]:
        """Connect them, one after the other; the witnesses evenly among those who read."""
        places = witness_places(group.clients - group.stalled, group.witnesses)
        return [
            (Witness if number in places else Client)(group.port, group.path)
            for number in range(group.clients)
        ]

    def serve(self) -> None:
        """Receive, and answer questions, until there is no one to ask."""
        listening = True

        def answer() -> int:
            nonlocal listening
            line = sys.stdin.readline()
            if line:
                tell(self.answer(Question(*json.loads(line))))
            listening = bool(line)
            return 0

        self.selector.register(sys.stdin, selectors.EVENT_READ, answer)
        while listening:
            self._receive()

    def answer(self, question: Question) -> Answer:
        """Wait until all is there, and see whether it is what it should be."""
        clients = self.groups[question.group]
        witnesses = [client for client in clients if isinstance(client, Witness)]
        patience = question.patience
        self._receive_until(
            lambda: all(len(witness.messages) >= question.how_many for witness in witnesses),
            patience,
        )
        size = witnesses[0].bytes
        self._receive_until(lambda: all(client.bytes >= size for client in clients), patience)
        self._receive(QUIET)
        published = messages(question.first, question.how_many, question.size)
        expected = [text.encode() for text in published]
        wrong = [
            *(f"{client.bytes} bytes, not {size}" for client in clients if client.bytes != size),
            *("another message" for witness in witnesses if witness.messages != expected),
        ]
        answer = Answer(
            size,
            [witness.arrivals for witness in witnesses],
            f"{len(wrong)} of {len(clients)} clients have {wrong[0]}" if wrong else "",
        )
        for client in clients:
            client.bytes = 0
        for witness in witnesses:
            witness.messages, witness.arrivals = [], []
        return answer

    def _receive(self, seconds: float | None = None) -> int:
        return sum(key.data() for key, _ in self.selector.select(seconds))

    def _receive_until(self, complete: Callable[[], bool], patience: float) -> None:
        since = monotonic()
        while not complete() and monotonic() - since < patience:
            if self._receive(patience):
                since = monotonic()


def tell(answer: object) -> None:
    """Write one line."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    raise_limit()
    clients = Clients([Group(*group) for group in json.loads(sys.argv[1])])
    tell("connected")
    clients.serve()
