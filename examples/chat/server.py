"""A chat: rooms that come into being when somebody enters, on one bus.

Everybody in a room gets what anybody there says, at the same time, written by one loop for all. Who
comes later gets the last words first. Who talks too fast is listened to more slowly, and who does
not listen disturbs nobody.
"""

import argparse
import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline import Bus
from driftline.websockets import publish_from, relaying, serve_options

PAGE = Path(__file__).with_name("page.html")
REMEMBERED = 20  # words, for who comes later, as long as somebody is in the room


def show_page(websocket: ServerConnection, request: Request) -> Response | None:
    """Answer a browser that asks for the page; all other addresses are rooms."""
    if request.path != "/":
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, PAGE.read_bytes())


def read_word(text: str | bytes) -> dict[str, str]:
    """Check what a client says, before everybody gets it: a name, and some text."""
    word = json.loads(text)
    match word:
        case {"name": str(name), "text": str(said)}:
            return {"name": name[:20], "text": said}
    raise ValueError("say {'name': ..., 'text': ...}")


def open_chat(bus: Bus, host: str, port: int) -> Any:
    """Return a server, for `async with`."""

    async def talk(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        try:
            room = bus.topic("chat." + websocket.request.path.strip("/"), dict)
        except ValueError as error:  # what cannot be a name
            await websocket.close(1008, str(error)[:100])
            return
        async with relaying(room, websocket, replay=REMEMBERED, encode=json.dumps):
            await publish_from(websocket, room, decode=read_word, rate=5, max_size=1000)

    return serve(talk, host, port, process_request=show_page, **serve_options())


async def run(host: str, port: int) -> None:
    """Serve until Ctrl-C, and say once a second who is behind."""
    server: Server
    with Bus(limit=1000, replay=REMEMBERED, max_topics=1000) as bus:
        async with open_chat(bus, host, port) as server:
            port = server.sockets[0].getsockname()[1]
            print(f"open http://{host}:{port}/ in a browser or two", flush=True)
            while True:
                await asyncio.sleep(1)
                for row in bus.lags():
                    if row.lag:
                        print(f"{row.name} in {row.topic} is {row.lag} behind", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="chat", description="A chat with rooms.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8766)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(options.host, options.port))


if __name__ == "__main__":
    main()
