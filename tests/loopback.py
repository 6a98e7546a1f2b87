"""WebSocket servers over loopback, and clients without manners: raw sockets that read when told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from driftline import Topic
from driftline.websockets import relay, statistics

TEXT, BINARY, CLOSE, PING = 0x81, 0x82, 0x88, 0x89
COMPRESSED = 0x40
_SMALL = 4096  # bytes that the kernel takes for a client before it reads them
_HANGS = 60  # seconds, on a machine that is busy with other things

Handler = Callable[[ServerConnection], Awaitable[Any]]


class Host:
    """A server, who has come to it, and how that ended."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.endings: asyncio.Queue[Any] = asyncio.Queue()

    async def handle(self, websocket: ServerConnection, handler: Handler) -> None:
        """Note who comes, and what its handler returns or raises."""
        self.arrived.put_nowait(websocket)
        try:
            async with asyncio.timeout(_HANGS):  # or else the server would wait for it
                ending = await handler(websocket)
        except Exception as error:
            self.endings.put_nowait(error)
            raise
        self.endings.put_nowait(ending)

    def client(
        self, path: str = "", **options: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        """Connect a client of websockets, for which the kernel takes little before it reads."""
        scheme = "wss" if "ssl" in options else "ws"
        return connect(f"{scheme}://127.0.0.1/{path}", sock=_connected(self.port), **options)

    @asynccontextmanager
    async def raw_client(self, offer: str | None = None) -> AsyncIterator[RawClient]:
        """Connect a raw socket, and shake hands.

        Args:
            offer: the extension to offer.
        """
        with _connected(self.port) as connected:
            connected.setblocking(False)
            client = RawClient(connected)
            await client.shake_hands(offer)
            yield client


class RawClient:
    """A client that reads and answers nothing by itself."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._loop = asyncio.get_running_loop()

    async def shake_hands(self, offer: str | None) -> None:
        """Ask for a WebSocket connection, and read the answer."""
        extensions = "" if offer is None else f"Sec-WebSocket-Extensions: {offer}\r\n"
        await self.send(
            (
                "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extensions}\r\n"
            ).encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await self.read(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert offer is None or offer.encode() in answer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._loop.sock_sendall(self.socket, data)

    async def read(self, size: int) -> bytes:
        """Read so many bytes."""
        data = b""
        while len(data) < size:
            new = await self._loop.sock_recv(self.socket, size - len(data))
            if not new:
                raise EOFError
            data += new
        return data

    async def read_frame(self) -> tuple[int, bytes]:
        """Read a frame: its first byte, and its payload."""
        first, size = await self.read(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.read(8))
        return first, await self.read(size)

    async def read_close(self) -> int:
        """Read up to the frame that closes the connection, close it, and return the code."""
        first, payload = await self.read_frame()
        while first != CLOSE:
            first, payload = await self.read_frame()
        self.socket.close()
        return int.from_bytes(payload[:2])

    async def read_to_end(self) -> None:
        """Read all that is left, however the connection ends."""
        try:
            while await self._loop.sock_recv(self.socket, 65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """End the connection without a word, and without what is on its way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def frame(first: int, payload: bytes) -> bytes:
    """Frame a message from a client. Its mask changes nothing."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


@asynccontextmanager
async def hosting(handler: Handler, **options: Any) -> AsyncIterator[Host]:
    """Run a server of websockets on asyncio; whatever hangs meanwhile fails.

    Args:
        handler: what it does with a connection.
        options: those of `websockets.serve`.
    """
    host = Host()
    async with (
        asyncio.timeout(_HANGS),
        serve(
            lambda websocket: host.handle(websocket, handler), "127.0.0.1", 0, **options
        ) as server,
    ):
        host.port = next(iter(server.sockets)).getsockname()[1]
        yield host


def relaying_to_all(
    topic: Topic[Any], *, server: dict[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[Host]:
    """Run a server that relays a topic to each client.

    Args:
        topic: the topic.
        server: options of `websockets.serve`.
        options: those of `relay`.
    """
    return hosting(lambda websocket: relay(topic, websocket, **options), **(server or {}))


async def read_all(websocket: ClientConnection) -> list[str | bytes]:
    """Read until the connection ends."""
    messages: list[str | bytes] = []
    try:
        while True:
            messages.append(await websocket.recv())
    except ConnectionClosed:
        return messages


async def until(condition: Callable[[], bool]) -> None:
    """Let everybody else go on until something holds."""
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


async def all_live(count: int) -> None:
    """Wait until so many clients keep up with a topic."""
    await until(
        lambda: any(len(each.clients) == count and not each.behind for each in statistics())
    )


def _connected(port: int) -> socket.socket:
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    connected.connect(("127.0.0.1", port))
    return connected
