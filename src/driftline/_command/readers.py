"""The clients of `driftline demo`, fast ones and slow ones."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from driftline.protocol import SUBPROTOCOL, Subscribe, write_request
from driftline.websockets import disconnect

_LITTLE: Final = 4096  # bytes that the kernel takes ahead of a slow client; it would hide its lag
_REST, _READ = 12.0, 8.0  # seconds; the hub gives up on who takes nothing for 20


@dataclass(frozen=True, slots=True)
class Reader:
    """A client: what it asks for, and whether it rests now and then."""

    request: Subscribe
    rests: bool = False


READERS: Final = (
    Reader(Subscribe(patterns=("machine.>",), name="fast")),
    Reader(Subscribe(patterns=("machine.load", "machine.memory"), name="fast, two topics")),
    Reader(Subscribe(patterns=(">",), name="fast, all")),
    Reader(Subscribe(patterns=("process.*",), name="slow"), rests=True),
    Reader(
        Subscribe(patterns=(">",), name="slow, latest", max_lag=100, on_lag="latest"), rests=True
    ),
)


async def read(reader: Reader, port: int) -> None:
    """Connect to the hub at a port of this machine, and read until cancelled."""
    websocket = await _connect(port, rests=reader.rests)
    try:
        await websocket.send(write_request(reader.request))
        pace = _by_turns if reader.rests else _always
        await pace(websocket)
    finally:
        # The hub would wait for the answer of one that rests.
        with anyio.CancelScope(shield=True):
            await disconnect(websocket, grace=0.1)


async def _always(websocket: ClientConnection) -> None:
    async for _ in websocket:
        pass


async def _by_turns(websocket: ClientConnection) -> None:
    turns: tuple[tuple[Callable[[ClientConnection], Awaitable[None]], float], ...]
    turns = (_not_at_all, _REST), (_always, _READ)
    for turn, seconds in cycle(turns):
        with anyio.move_on_after(seconds) as scope:
            await turn(websocket)
        if not scope.cancelled_caught:  # the hub has gone
            return


async def _not_at_all(_: ClientConnection) -> None:
    await anyio.sleep_forever()


async def _connect(port: int, *, rests: bool) -> ClientConnection:
    connection = socket.socket()
    if rests:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LITTLE)
    connection.connect(("127.0.0.1", port))  # which does not wait: the kernel accepts
    connection.setblocking(False)
    return await connect(
        "ws://127.0.0.1/",
        sock=connection,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        max_queue=1 if rests else 16,
    )
