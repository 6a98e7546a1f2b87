"""A hub over the bus, and WebSocket clients: some that follow, and some with bad manners."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from driftline.hub import Limits, serve
from driftline.protocol import (
    SUBPROTOCOL,
    Delivered,
    Following,
    Refused,
    Subscribe,
    parse_event,
    write_request,
)
from loopback import TEXT, frame
from proof.law import LawBroken
from soak.load import Load, Start
from soak.loads.flood import NUMBERED
from soak.part import Part
from soak.run import PATIENCE

LIMITS = Limits(patience=1.0, handshake_seconds=1.0, errors=3, message_bytes=64 * 1024)
FOLLOWERS = 2
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode() + b"\r\n\r\n"
)


def serve_all(part: Part, ports: SimpleQueue[int], clients: int) -> None:
    """Run the hub, on a loop of its own, until the end."""

    async def main() -> None:
        async with serve(part.bus, port=0, limits=LIMITS) as hub:
            for _ in range(clients):
                ports.put(hub.port)
            while not part.stopping.is_set():  # noqa: ASYNC110 - set by any thread
                await asyncio.sleep(0.05)

    asyncio.run(main())


def follow(part: Part, ports: SimpleQueue[int]) -> None:
    """Read one topic over many connections, each lost at random, and hold it to the law."""
    port = ports.get(timeout=PATIENCE)
    while not part.stopping.is_set():
        name = part.random.choice(NUMBERED)
        follower = Follower(part, name)
        for _ in range(part.random.randrange(1, 10)):
            with losing_connections(part):
                follower.follow(port, part.random.uniform(0, 0.3))


@contextmanager
def losing_connections(part: Part) -> Iterator[None]:
    """Take it as it comes that a connection ends, or that there is none any more at the end.

    It may end before it is open, when the hub has no time for a handshake.
    """
    try:
        yield
    except (ConnectionClosed, InvalidMessage, OSError, TimeoutError):
        pass
    except InvalidStatus:
        if not part.stopping.is_set():
            raise


class Follower:
    """One reader, over several connections."""

    def __init__(self, part: Part, name: str) -> None:
        self._part = part
        self._name = name
        self._following = Following(Subscribe(patterns=(name,), keep=10, id=1))
        self._last: int | None = None
        self._missed = 0

    def follow(self, port: int, seconds: float) -> None:
        """Read for a while, and then lose the connection."""
        with connected(port) as websocket:
            websocket.send(write_request(self._following.begin()))
            self._part.counts["connections"] += 1
            received = 0
            with suppress(TimeoutError):
                while not self._part.stopping.is_set() and received < seconds * 10_000:
                    self._see(websocket, websocket.recv(timeout=seconds))
                    received += 1
            websocket.socket.shutdown(socket.SHUT_RDWR)  # without a word

    def _see(self, websocket: ClientConnection, frame: str | bytes) -> None:
        event = parse_event(frame)
        for request in self._following.see(event):
            websocket.send(write_request(request))
        match event:
            case Delivered():
                number = event.value[1]
                missed = self._following.missed - self._missed
                if self._last is not None and number != self._last + missed + 1:
                    raise LawBroken(
                        f"the client of {self._name!r} got {number} after {self._last}, "
                        f"and was told of {missed}"
                    )
                self._last, self._missed = number, self._following.missed
                self._part.counts["delivered over wire"] += 1
            case Refused(code="lost"):
                self._part.counts["positions lost"] += 1
                self._last, self._missed = None, self._following.missed
                websocket.send(write_request(self._following.restart()))
            case Refused():
                raise LawBroken(f"the hub refused: {event.code}: {event.reason}")


def misbehave(part: Part, ports: SimpleQueue[int]) -> None:
    """Do what no client should, one thing after the other."""
    port = ports.get(timeout=PATIENCE)
    while not part.stopping.is_set():
        way = part.random.choice(WAYS)
        with losing_connections(part):
            way(part, port)
            part.counts[f"clients that {way.__name__.replace('_', ' ')}"] += 1


def never_read(part: Part, port: int) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(HANDSHAKE + frame(TEXT, b'{"type":"subscribe","patterns":[">"]}'))
        part.pause(0, 2)


def never_finish_their_handshake(part: Part, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(HANDSHAKE[: part.random.randrange(len(HANDSHAKE))])
        part.pause(0, 0.5)


def talk_nonsense(part: Part, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(HANDSHAKE + part.random.randbytes(part.random.randrange(1000)))
        part.pause(0, 0.1)


def flood(part: Part, port: int) -> None:
    with connected(port) as websocket:
        for number in range(part.random.randrange(3000)):
            websocket.send(f'{{"type":"publish","topic":"wire.{number % 100}","value":1}}')


def ask_for_too_much(part: Part, port: int) -> None:
    with connected(port) as websocket:
        for number in range(200):
            websocket.send(f'{{"type":"subscribe","patterns":["wire.{number}.>"]}}')
        part.pause(0, 0.1)


def reset(part: Part, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(HANDSHAKE + frame(TEXT, b'{"type":"subscribe","patterns":["flood.*"]}'))
        part.pause(0, 0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


WAYS: tuple[Callable[[Part, int], None], ...] = (
    never_read,
    never_finish_their_handshake,
    talk_nonsense,
    flood,
    ask_for_too_much,
    reset,
)


def connected(port: int) -> ClientConnection:
    """Return a connection of the protocol."""
    return connect(f"ws://127.0.0.1:{port}/", subprotocols=[SUBPROTOCOL], max_size=None)  # type: ignore[list-item]


def run(start: Start) -> None:
    ports: SimpleQueue[int] = SimpleQueue()
    start.thread(serve_all, ports, FOLLOWERS + 1)
    for _ in range(FOLLOWERS):
        start.thread(follow, ports)
    start.thread(misbehave, ports)


HUB = Load("hub", run)
