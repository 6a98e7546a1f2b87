"""The clients of Python: websockets on asyncio, on threads and on trio, and aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import Any

import aiohttp
import anyio.to_thread
import trio
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from conformance.offers import ALL, NONE, Offer
from conformance.programs.program import Echo, Program


def _options(offer: Offer | None) -> dict[str, Any]:
    """Return the arguments for any `connect` of websockets."""
    if offer is None:
        return {"compression": None}
    factory = ClientPerMessageDeflateFactory(**offer._asdict(), client_max_window_bits=True)
    return {"extensions": [factory], "compression": None}


async def _on_asyncio(url: str, offer: Offer | None) -> None:
    async with websockets.asyncio.client.connect(url, **_options(offer)) as connection:
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)


def _on_threads(url: str, offer: Offer | None) -> None:
    with (
        websockets.sync.client.connect(url, **_options(offer)) as connection,
        suppress(ConnectionClosed),
    ):
        for message in connection:
            connection.send(message)


def _on_trio(url: str, offer: Offer | None) -> None:
    from websockets.trio.client import connect

    async def echo() -> None:
        async with connect(url, **_options(offer)) as connection:
            with suppress(ConnectionClosed):
                async for message in connection:
                    await connection.send(message)

    trio.run(echo)


async def _with_aiohttp(url: str, offer: Offer | None) -> None:
    bits = 0 if offer is None else offer.server_max_window_bits
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=bits) as connection,
    ):
        async for message in connection:
            if isinstance(message.data, str):
                await connection.send_str(message.data)
            else:
                await connection.send_bytes(message.data)


def _in_thread(echo: Callable[[str, Offer | None], None]) -> Echo:
    """Run each in a thread of its own."""

    async def run(url: str, offer: Offer | None) -> None:
        await anyio.to_thread.run_sync(echo, url, offer, limiter=anyio.CapacityLimiter(1))

    return run


def _program(name: str, echo: Echo, offers: tuple[Offer | None, ...]) -> Program:
    @asynccontextmanager
    async def started() -> AsyncIterator[Echo]:
        yield echo

    return Program(name, offers, started, lambda: None)


# aiohttp asks for nothing but a window.
_WINDOWS = tuple(Offer(server_max_window_bits=bits) for bits in range(9, 16))

_HAS_TRIO = find_spec("websockets.trio") is not None  # from websockets 17 on

PROGRAMS = (
    _program("websockets, asyncio", _on_asyncio, (*ALL, NONE)),
    _program("websockets, threads", _in_thread(_on_threads), (*ALL, NONE)),
    *([_program("websockets, trio", _in_thread(_on_trio), (*ALL, NONE))] if _HAS_TRIO else []),
    _program("aiohttp", _with_aiohttp, (*_WINDOWS, NONE)),
)
