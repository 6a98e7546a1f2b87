"""A long job that says how far it is, and the page that shows it; for any event loop."""

import argparse
import json
import time
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any, TypedDict

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline import Topic
from driftline.websockets import relay

PAGE = Path(__file__).with_name("page.html")
STEPS = 600


class State(TypedDict):
    """How far the job is."""

    done: int
    of: int


def open_progress() -> Topic[State]:
    """Return a topic that keeps the newest state for who comes late."""
    return Topic("progress", replay=1)


def start(progress: Topic[State]) -> None:
    """Do the job in a thread, which ends with the program."""

    def work() -> None:
        for done in range(1, STEPS + 1):
            time.sleep(0.1)  # what takes so long
            progress.publish({"done": done, "of": STEPS})
        progress.close()

    Thread(target=work, daemon=True).start()


async def show(progress: Topic[State], websocket: Any) -> None:
    """Handle a connection: the newest state, and then what comes."""
    await relay(progress, websocket, replay=1, max_lag=10, on_lag="latest", encode=json.dumps)


def show_page(_: Any, request: Request) -> Response | None:
    """Answer a browser that asks for the page."""
    if request.path != "/":
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, PAGE.read_bytes())


def read_port() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="The progress of a long job.")
    parser.add_argument("--port", type=int, default=8770)
    port: int = parser.parse_args().port
    return port
