"""All of a hub but its server."""

from __future__ import annotations

import logging
from typing import Any

import anyio
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline import Bus, Subscription
from driftline._hub.access import Authorize, bearer
from driftline._hub.encoding import Encoders
from driftline._hub.figures import STATISTICS, Figures
from driftline._hub.limits import Limits
from driftline._hub.places import Places
from driftline._hub.plain import PLAIN, PlainClient
from driftline._hub.session import Session
from driftline._hub.unsent import Unsent
from driftline.protocol import Subscribe
from driftline.websockets import disconnect

_logger = logging.getLogger("driftline.hub")


class Hub:
    """A bus, and those who have connected to it; made by `serve`.

    Attributes:
        bus: The bus.
        limits: What a client may do at most.
        port: Where it listens.
        url: Where clients connect, such as "ws://127.0.0.1:8765/".
    """

    def __init__(
        self,
        bus: Bus,
        limits: Limits,
        authorize: Authorize | None,
        origins: tuple[str, ...],
        *,
        keep: bool,
    ) -> None:
        self.bus: Bus = bus
        self.limits: Limits = limits
        self.authorize: Authorize | None = authorize
        self.origins: tuple[str, ...] = origins
        self.encoders: Encoders = Encoders()
        self.places: Places = Places(limits.places)
        self.url: str = ""
        self.port: int = 0
        self._keep = keep
        self._figures = Figures(bus)
        self._unsent = Unsent(limits.message_bytes)
        self._open: dict[Any, anyio.CancelScope] = {}

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    def publish(self, topic: str, value: Any) -> None:
        """Publish what a client sent."""
        if self._keep:
            self.bus.topic(topic, keep=True).publish(value)
        else:
            self.bus.publish(topic, value)

    def subscribe(self, request: Subscribe, name: str) -> Subscription[Any]:
        """Subscribe for a client, within the limits of the hub."""
        limits = self.limits
        own = [pattern for pattern in request.patterns if pattern.startswith("$")]
        if own and set(request.patterns) != {STATISTICS}:
            raise ValueError(f"names with $ are the hub's own; there is {STATISTICS}, by itself")
        if name == "fan-out":  # which the inspector passes over
            raise ValueError(f"{name!r} is what the hub calls its own readers")
        if request.since and not request.is_single:
            raise ValueError("since is for a single name; for patterns there is keep, and resume")
        replay = request.replay or 0
        if replay > limits.replay:
            raise ValueError(f"replay is at most {limits.replay:,} here")
        seconds = min(request.max_lag_seconds or limits.lag_seconds, limits.lag_seconds)
        options: dict[str, Any] = {
            "name": name,
            "replay": replay,
            "since": request.since,
            # What it begins with, or finds when it comes back, is lag, too.
            "max_lag": min(request.max_lag or limits.lag, limits.lag) + replay,
            "max_lag_seconds": None if replay or request.since else seconds + (request.keep or 0),
            "max_lag_bytes": request.max_lag_bytes,
            "on_lag": request.on_lag or "skip",
        }
        if own:
            return self._figures.topic.subscribe(**options)
        return self.bus.subscribe(*request.patterns, **options)

    async def handle(self, websocket: Any) -> None:
        """Serve one connection until it ends."""
        name = _address(websocket)
        if self.connections >= self.limits.connections:  # as many came at once
            return await disconnect(websocket, CloseCode.TRY_AGAIN_LATER, "too many connections")
        with anyio.CancelScope() as self._open[websocket]:
            try:
                request = websocket.request
                if request.path.startswith(PLAIN):
                    await PlainClient(self, websocket, name).run()
                else:
                    token = bearer(request.headers.get("Authorization"))
                    await Session(self, websocket, name, token).run()
            except ConnectionClosed:
                pass
            except Exception as error:  # one line, and nobody else is concerned
                _logger.error("%s is cut off, because of a fault here: %r", name, _first(error))
                await disconnect(websocket, CloseCode.INTERNAL_ERROR, "a fault of the hub")
            finally:
                del self._open[websocket]

    async def watch(self) -> None:
        """Look once a second for what is to be told, and for what is kept too long."""
        while True:
            await anyio.sleep(1)
            self.places.bound()
            for websocket in self._unsent.stuck(self._open):
                _logger.info("%s is cut off: takes nothing", _address(websocket))
                await disconnect(websocket, grace=0)
            self._figures.look(self.connections)

    async def disconnect_all(self) -> None:
        """Tell all clients that the hub is being stopped, and wait for nobody."""
        async with anyio.create_task_group() as tasks:
            for websocket, scope in self._open.items():
                tasks.start_soon(_disconnect, websocket, scope)

    def health(self) -> dict[str, Any]:
        """Return a few figures for who watches over this."""
        return {
            "status": "closed" if self.bus.closed else "ok",
            "connections": self.connections,
        }


async def _disconnect(websocket: Any, scope: anyio.CancelScope) -> None:
    await disconnect(websocket, CloseCode.GOING_AWAY)
    scope.cancel()


def _first(error: BaseException) -> BaseException:
    """Return what went wrong, without the groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _address(websocket: Any) -> str:
    try:
        host, port = websocket.remote_address[:2]
    except (OSError, TypeError, ValueError):  # it has left
        return "client"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
