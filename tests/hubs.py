"""Hubs over loopback, and their clients, on asyncio and on trio, with manners and without."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from websockets.exceptions import ConnectionClosed

from driftline import Bus
from driftline.hub import Hub, serve
from driftline.protocol import (
    SUBPROTOCOL,
    Delivered,
    Event,
    Request,
    Subscribe,
    Subscribed,
    parse_event,
    write_request,
)

CLOSE = 0x88
_SMALL = 4096  # bytes that the kernel takes for a client before it reads them
_HANGS = 60  # seconds, on a machine that is busy with other things


@asynccontextmanager
async def hub_of(bus: Bus, *, hangs: float = _HANGS, **options: Any) -> AsyncIterator[Hub]:
    """Run a hub; whatever hangs meanwhile fails.

    Args:
        bus: its bus.
        hangs: seconds after which it does.
        options: those of `serve`.
    """
    with anyio.fail_after(hangs):
        async with serve(bus, **({"port": 0} | options)) as hub:
            yield hub


class Client:
    """A client that says what it is told to, and hears what it is asked for."""

    def __init__(self, websocket: Any) -> None:
        self.websocket = websocket

    async def say(self, said: Request | str | bytes) -> None:
        """Say something, right or wrong."""
        await self.websocket.send(said if isinstance(said, str | bytes) else write_request(said))

    async def hear(self) -> Event:
        """Return what the hub says next."""
        event = parse_event(await self.websocket.recv())
        assert event is not None
        return event

    async def ask(self, said: Request | str | bytes) -> Any:
        """Say something, and return what the hub says next."""
        await self.say(said)
        return await self.hear()

    async def subscribe(self, *patterns: str, **fields: Any) -> Subscribed:
        """Subscribe, and return the answer."""
        answer = await self.ask(Subscribe(patterns=patterns, **fields))
        assert isinstance(answer, Subscribed), answer
        return answer

    async def values(self, count: int) -> list[Any]:
        """Return the values of the next so many messages, and nothing else may come."""
        events = [await self.hear() for _ in range(count)]
        assert all(isinstance(event, Delivered) for event in events), events
        return [event.value for event in events if isinstance(event, Delivered)]

    async def ending(self) -> int:
        """Hear all that comes, and return the code with which the connection ends."""
        try:
            while True:
                await self.websocket.recv()
        except ConnectionClosed:
            code: int = self.websocket.close_code
            return code

    def abort(self) -> None:
        """End the connection without a word."""
        if hasattr(self.websocket, "transport"):
            self.websocket.transport.abort()
        else:
            with suppress(OSError):  # it has ended already
                self.websocket.stream.socket.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def client_of(
    hub: Hub, path: str = "", *, token: str | None = None, **options: Any
) -> AsyncIterator[Client]:
    """Connect a client.

    Args:
        hub: the hub.
        path: what follows the address of the hub.
        token: sent as the header.
        options: those of `websockets.connect`.
    """
    headers = dict(options.pop("additional_headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with _connect()(
        hub.url + path,
        subprotocols=[SUBPROTOCOL],
        additional_headers=headers,
        close_timeout=1,
        max_queue=None,  # or else who is behind would not see that it is closed
        **options,
    ) as websocket:
        yield Client(websocket)


def _connect() -> Any:
    """Return `connect` of websockets for the event loop that runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return import_module("websockets.trio.client").connect
    return import_module("websockets.asyncio.client").connect


def handshake(path: str, headers: str, host: str, offer: str) -> bytes:
    """Return what asks for a WebSocket connection."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {offer}\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
    ).encode()


class RawClient:
    """A socket that reads when it is told, and answers nothing by itself."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.send = stream.send
        self._received = BufferedByteReceiveStream(stream)

    async def shake_hands(self, path: str, headers: str, host: str, offer: str) -> bytes:
        """Ask for a WebSocket connection, and return the first line of the answer."""
        await self.send(handshake(path, headers, host, offer))
        answer = await self._received.receive_until(b"\r\n\r\n", 8192)
        return answer.partition(b"\r\n")[0]

    async def read_frame(self) -> tuple[int, bytes]:
        """Read a frame: its first byte, and its payload."""
        first, size = await self._received.receive_exactly(2)
        if size >= 126:
            size = int.from_bytes(await self._received.receive_exactly(2 if size == 126 else 8))
        return first, await self._received.receive_exactly(size)

    async def read_close(self) -> int:
        """Read up to the frame that closes the connection, and return its code."""
        first, payload = await self.read_frame()
        while first != CLOSE:
            first, payload = await self.read_frame()
        return int.from_bytes(payload[:2])

    async def read_to_end(self) -> None:
        """Read all that is left, however the connection ends."""
        try:
            while True:
                await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass


@asynccontextmanager
async def raw_client_of(
    hub: Hub,
    path: str = "/",
    headers: str = "",
    *,
    host: str = "127.0.0.1",
    offer: str = SUBPROTOCOL,
    refused: bytes = b"",
) -> AsyncIterator[RawClient]:
    """Connect a raw socket, for which the kernel takes little, and shake hands.

    Args:
        hub: the hub.
        path: what is asked for.
        headers: beside the usual ones.
        host: to whom it believes to speak.
        offer: the subprotocols that it asks for.
        refused: what the first line of the answer has in it, if it is a refusal.
    """
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
    connected.connect(("127.0.0.1", hub.port))
    async with await SocketStream.from_socket(connected) as stream:
        client = RawClient(stream)
        line = await client.shake_hands(path, headers, host, offer)
        assert (refused or b" 101 ") in line, line
        yield client


async def until(condition: Callable[[], bool]) -> None:
    """Let everybody else go on until something holds."""
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await anyio.sleep(0.001)


def said(**fields: Any) -> str:
    """Return a frame, right or wrong."""
    return json.dumps(fields)
