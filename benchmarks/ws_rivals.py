"""Servers of others that bring a message to all of their WebSocket clients by themselves.

Each is set up as its own documentation shows, on the loopback, without compression and without
pings. Their libraries are imported only where they serve.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any, NamedTuple, Protocol, TypeVar

Result = TypeVar("Result")

ROOM = "python-socketio room"
NATIVE = "socketify topic"
ALL = "all"
"""The name of the room, or of the topic."""
NEVER = 3600
"""Seconds."""


class Unsent(Protocol):
    """Where bytes wait for the kernel."""

    def get_write_buffer_size(self) -> int:
        """Return how many they are."""


class Member(NamedTuple):
    """What the server has for one client."""

    publish: Callable[[str], Awaitable[None] | None]
    """To all clients."""
    transport: Unsent


@asynccontextmanager
async def serve_room(members: list[Member]) -> AsyncIterator[int]:
    """Serve with python-socketio on aiohttp; every client enters one room. Gives the port."""
    import socketio
    from aiohttp import web

    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=NEVER)
    publish = partial(server.emit, "message", room=ALL)

    @server.event  # type: ignore[untyped-decorator]
    async def connect(session: str, environ: dict[str, Any]) -> None:
        await server.enter_room(session, ALL)
        members.append(Member(publish, environ["aiohttp.request"].transport))

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@cache
def application() -> Any:
    """Return the application of socketify: one for the process, because it makes the loop."""
    from socketify import App

    return App()


class Buffered(NamedTuple):
    """The buffer of a client of socketify."""

    get_write_buffer_size: Callable[[], int]


@asynccontextmanager
async def serve_topic(members: list[Member]) -> AsyncIterator[int]:
    """Serve with socketify; every client is subscribed to one topic. Gives the port."""
    from socketify import AppListenOptions, CompressOptions, OpCode, WebSocket

    publish = partial(application().publish, ALL, opcode=OpCode.TEXT)

    def connect(websocket: WebSocket) -> None:
        websocket.subscribe(ALL)
        members.append(Member(publish, Buffered(websocket.get_buffered_amount)))

    application().ws("/*", {"compression": CompressOptions.DISABLED, "open": connect})
    ports: list[int] = []
    application().listen(
        AppListenOptions(host="127.0.0.1"), lambda listening: ports.append(listening.port)
    )
    yield ports[0]


def run_application(function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run `function()` on the loop of socketify."""
    task: asyncio.Task[Result] = application().loop.create_task(function())
    task.add_done_callback(lambda _: application().close())
    application().run()
    return task.result()
