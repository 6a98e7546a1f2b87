"""Answers that come word by word, and go on after a reload where they were.

An answer is a topic, and belongs to no connection. Whoever connects says after which position it
wants to go on, and gets the rest; or is told to begin anew.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline import Message, PositionLost, Subscription, Topic
from driftline.websockets import relay, serve_options

PAGE = Path(__file__).with_name("page.html")
REPLAYED = 10_000  # words of an answer
KEPT = 300.0  # seconds, after it is complete

Generate = Callable[[Topic[str]], Awaitable[None]]


async def count_sheep(answer: Topic[str]) -> None:
    """Stand in for a model."""
    for number in range(1, 301):
        answer.publish(f"{number} sheep, ")
        await asyncio.sleep(0.1)


def show_page(websocket: ServerConnection, request: Request) -> Response | None:
    """Answer a browser that asks for the page; all other addresses are questions."""
    if request.path != "/":
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, PAGE.read_bytes())


class Answers:
    """The answers that are being given, or were a little while ago."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate
        self._answers: dict[str, tuple[Topic[str], asyncio.Task[None]]] = {}

    def ask(self, question: str) -> Topic[str]:
        """Return the answer, which begins when it is asked for first."""
        if question not in self._answers:
            answer = Topic[str]("answer", replay=REPLAYED)
            self._answers[question] = answer, asyncio.create_task(self._give(question, answer))
        return self._answers[question][0]

    async def _give(self, question: str, answer: Topic[str]) -> None:
        try:
            await self._generate(answer)
        finally:
            answer.close()
            asyncio.get_running_loop().call_later(KEPT, self._answers.pop, question, None)


def go_on(answer: Topic[str], since: str | None) -> tuple[Subscription[str], bool]:
    """Return a place in an answer, and whether it is where the client was."""
    if since is not None:
        with suppress(PositionLost, ValueError):  # too old, of another run, or no position at all
            return answer.subscribe(since=since), True
    return answer.subscribe(replay=REPLAYED), False


def encode(message: Message[str]) -> str:
    """Return what a client gets of a word."""
    return json.dumps({"seq": message.seq, "word": message.value})


def open_answers(answers: Answers, host: str, port: int) -> Any:
    """Return a server, for `async with`."""

    async def show(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        address = urlsplit(websocket.request.path)
        since = dict(parse_qsl(address.query)).get("since")
        subscription, goes_on = go_on(answers.ask(address.path), since)
        with subscription:
            place = subscription.position
            first = {"epoch": place.epoch, "goes_on": goes_on, "before": place.seq}
            await websocket.send(json.dumps(first))
            await relay(subscription, websocket, encode_message=encode)

    return serve(show, host, port, process_request=show_page, **serve_options())


async def run(host: str, port: int) -> None:
    """Serve until Ctrl-C."""
    server: Server
    async with open_answers(Answers(count_sheep), host, port) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"open http://{host}:{port}/ in a browser, and reload it", flush=True)
        await server.serve_forever()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="token_stream", description="A stream that goes on.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8769)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(options.host, options.port))


if __name__ == "__main__":
    main()
