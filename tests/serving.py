"""What the tests of servers among the examples have in common: browsers, and programs."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from websockets.asyncio.client import connect

from programs import Program

ROOT = Path(__file__).parents[1]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on a new asyncio loop; whatever hangs fails after 20 seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def url_of(server: Any) -> str:
    """Return where a server of websockets listens."""
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def stubborn(url: str) -> connect:
    """Connect a client for which little is taken before it reads."""
    port = urlsplit(url).port
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", port))
    return connect(url, sock=small, compression=None, max_queue=1)


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[tuple[Program, str]]:
    """Run a server, and have it with its address; it must end without a complaint."""
    command = [sys.executable, "-W", "error", "-m", f"examples.{module}", "--port", "0"]
    with Program(*command, *arguments, cwd=ROOT, stdin=subprocess.PIPE) as program:
        found = program.out.wait_for(r"^open (http://\S+:\d+/) in ")
        yield program, found[1]
        assert program.err.rest() == []


def title_of(page: str) -> str:
    """Return the title of the page that a browser gets."""
    with urlopen(page, timeout=20) as response:
        found = re.search("<title>(.*)</title>", response.read().decode())
    assert found is not None
    return found[1]
