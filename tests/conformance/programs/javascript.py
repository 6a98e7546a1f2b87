"""Driving `echo.js`, which runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryFile
from typing import Any

import anyio
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from conformance.offers import Offer
from conformance.programs.program import Echo

ECHO = Path(__file__).with_name("echo.js")
PATIENCE = 60.0  # seconds; a browser takes some of them to start


@asynccontextmanager
async def driven(
    command: Callable[[str], Sequence[str]],
    options: Callable[[Offer | None], Any],
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Echo]:
    """Start a process, and yield what has it connect.

    Args:
        command: makes the command of the address, without scheme, where it is told what to do.
        options: makes the third argument of `new WebSocket` of an offer.
        environment: of the process.
    """
    arrival: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        arrival.set_result(connection)
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0, process_request=_page, ping_interval=None) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with TemporaryFile() as errors:
            process = await anyio.open_process(
                command(address), stdin=DEVNULL, stdout=DEVNULL, stderr=errors, env=environment
            )
            async with process:
                try:
                    async with asyncio.timeout(PATIENCE):
                        control = await arrival

                    async def echo(url: str, offer: Offer | None) -> None:
                        await control.send(json.dumps({"url": url, "options": options(offer)}))

                    yield echo
                except TimeoutError:
                    errors.seek(0)
                    raise RuntimeError(errors.read()[-2000:].decode(errors="replace")) from None
                finally:
                    process.terminate()


def _page(connection: ServerConnection, request: Request) -> Response | None:
    """Answer a browser that asks for the page."""
    if "Upgrade" in request.headers:
        return None
    script = ECHO.read_text(encoding="utf-8")
    response = connection.respond(HTTPStatus.OK, f"<!doctype html><script>{script}</script>")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    return response
