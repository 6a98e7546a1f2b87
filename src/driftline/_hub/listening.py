"""The server of a hub, on asyncio or on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from driftline import Bus
from driftline._hub.access import Authorize, checked_origins
from driftline._hub.backend import on_asyncio
from driftline._hub.hub import Hub
from driftline._hub.limits import Limits
from driftline._hub.pages import answer
from driftline.protocol import SUBPROTOCOL
from driftline.websockets import serve_options

_GRACE: Final = 1.0  # seconds for a connection to be closed, or opened when all is over


@asynccontextmanager
async def serve(
    bus: Bus,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    authorize: Authorize | None = None,
    origins: Iterable[str] = (),
    limits: Limits | None = None,
    keep: bool = False,
    ssl: Any = None,
) -> AsyncIterator[Hub]:
    """Serve a bus over WebSocket while a block runs: on asyncio, or on trio with websockets 17.

    ::

        async with serve(bus) as hub:
            print("listening on", hub.url)
            await anyio.sleep_forever()

    Clients speak `driftline.v1` (docs/protocol.md), or connect to `/topic/NAME` for its messages as
    they are. Browsers get the inspector at `/`. Values that JSON has no form for are sent as their
    `repr`; bytes are sent as they are.

    At the end of the block all connections are closed, with code 1001. That takes no longer than
    two or three seconds, whatever clients do. What the block raises is raised as it is.

    Args:
        bus: the bus. A `limit` bounds what it keeps for who is behind.
        host: the address to listen at. Nobody but this machine can connect to the one that it is if
            nothing is said.
        port: likewise; 0 is any that is free.
        authorize: says who may do what: a function of a token (or None), of "read" or "publish",
            and of a pattern or name, such as `Tokens`. Without it, everybody may do everything.
        origins: of pages that may connect beside those of the hub itself: "https://example.org".
        limits: what a client may do at most.
        keep: True has the bus keep topics that clients publish to, with what they replay.
        ssl: as for `websockets.serve`.

    Raises:
        OSError: it cannot listen there.
        TypeError, ValueError: an argument is not as it should be.
    """
    for argument, kind in ((bus, Bus), (limits or Limits(), Limits)):
        if not isinstance(argument, kind):
            raise TypeError(f"serve takes a {kind.__name__}, not {argument!r}")
    if authorize is not None and not callable(authorize):
        raise TypeError(f"authorize takes a function, or Tokens({{...}}), not {authorize!r}")
    hub = Hub(bus, limits or Limits(), authorize, checked_origins(origins), keep=keep)
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            listen = _listen_on_asyncio if on_asyncio() else partial(_listen_on_trio, tasks)
            async with listen(hub, host, port, ssl):
                scheme, address = "wss" if ssl else "ws", f"[{host}]" if ":" in host else host
                hub.url = f"{scheme}://{address}:{hub.port}/"
                tasks.start_soon(hub.watch)
                yield hub
        except Exception as error:  # not raised here, where it would come in a group
            failure = error
        finally:
            hub.places.close()
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def _listen_on_asyncio(hub: Hub, host: str, port: int, ssl: Any) -> AsyncIterator[None]:
    from websockets.asyncio.server import serve as serve_on_asyncio

    from driftline._hub.connection import Connection

    options: dict[str, Any] = {
        **_options(hub, ssl),
        **serve_options(),
        "create_connection": Connection,
    }
    with _telling_where(host, port):
        server = await serve_on_asyncio(hub.handle, host, port, **options)
    hub.port = next(iter(server.sockets)).getsockname()[1]
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            server.close(close_connections=False)
            await hub.disconnect_all()
            with anyio.move_on_after(_GRACE):
                await server.wait_closed()


@asynccontextmanager
async def _listen_on_trio(
    tasks: TaskGroup, hub: Hub, host: str, port: int, ssl: Any
) -> AsyncIterator[None]:
    from websockets.trio.server import serve as serve_on_trio

    handling = anyio.CancelScope(shield=True)  # whoever is connected is to hear of the end

    async def serve_shielded(*, task_status: Any) -> None:
        with handling:
            await serve_on_trio(
                hub.handle, port, host=host, **_options(hub, ssl), task_status=task_status
            )

    with _telling_where(host, port):
        server = await tasks.start(serve_shielded)
    hub.port = server.listeners[0].socket.getsockname()[1]
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as closing:
                closing.start_soon(partial(server.aclose, close_connections=False))
                await hub.disconnect_all()
                closing.cancel_scope.deadline = anyio.current_time() + _GRACE
        handling.cancel()


@contextmanager
def _telling_where(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"cannot listen at {host}, port {port}: {error.strerror}"
        raise OSError(error.errno, text) from error


def _options(hub: Hub, ssl: Any) -> dict[str, Any]:
    def process_request(_: object, request: Request) -> Response | None:
        return answer(hub, request)

    return {
        "process_request": process_request,
        "select_subprotocol": _select,
        "max_size": hub.limits.message_bytes,
        "open_timeout": hub.limits.handshake_seconds,
        "ping_interval": hub.limits.ping_seconds,
        "ping_timeout": hub.limits.ping_seconds,
        "close_timeout": _GRACE,
        "ssl": ssl,
    }


def _select(_: object, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
