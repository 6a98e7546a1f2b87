"""A log in the browser: each line of standard input, for everybody who looks, at their own pace.

A thread reads the input and publishes. Who comes later gets the last lines first; who is too slow
skips, and is told how many lines that were.
"""

import argparse
import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline import Topic
from driftline.websockets import relay, serve_options

PAGE = Path(__file__).with_name("page.html")
REMEMBERED = 1_000  # lines for who comes later
TOLERATED = 10_000  # lines that somebody may be behind


def show_page(websocket: ServerConnection, request: Request) -> Response | None:
    """Answer a browser that asks for the page."""
    if request.path != "/":
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, PAGE.read_bytes())


def encode(line: str) -> str:
    """Return what a browser gets of a line."""
    return json.dumps({"line": line})


def tell(missed: int) -> str:
    """Return what a browser gets in place of lines that it was too slow for."""
    return json.dumps({"missed": missed})


def publish_input(log: Topic[str]) -> None:
    """Publish standard input line by line. It blocks, so it has a thread of its own."""
    with open(0, errors="replace", closefd=False) as source:
        for line in source:
            log.publish(line.rstrip("\n"))
    log.close()


def open_viewer(log: Topic[str], host: str, port: int) -> Any:
    """Return a server, for `async with`."""

    async def show(websocket: ServerConnection) -> None:
        await relay(log, websocket, replay=REMEMBERED, on_lag="raise", tell=tell, encode=encode)

    return serve(show, host, port, process_request=show_page, **serve_options())


async def run(host: str, port: int) -> None:
    """Serve until Ctrl-C, also when the input has ended."""
    log = Topic[str]("log", limit=TOLERATED, replay=REMEMBERED)
    server: Server
    async with open_viewer(log, host, port) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"open http://{host}:{port}/ in a browser", flush=True)
        Thread(target=publish_input, args=[log], daemon=True).start()
        await server.serve_forever()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="log_viewer", description="A log in the browser.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8767)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(options.host, options.port))


if __name__ == "__main__":
    main()
