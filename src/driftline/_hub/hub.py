"""All of a hub but its server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from time import time
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline import Bus, BusStatistics, PositionLost, Subscription, TooManyTopics, Topic
from driftline._hub.access import Authorize, allows, bearer
from driftline._hub.encoding import Encoders, encode_plain
from driftline._hub.limits import Limits
from driftline._hub.places import Places
from driftline._hub.session import Session
from driftline.protocol import SUBPROTOCOL, ProtocolError, Subscribe, parse_request, write_json
from driftline.websockets import disconnect, relay

STATISTICS: Final = "$statistics"
PLAIN: Final = "/topic/"
_ROWS: Final = 200
"""Readers in the statistics, those that are the furthest behind."""

_logger = logging.getLogger("driftline.hub")


class Hub:
    """A bus, and those who have connected to it.

    Attributes:
        bus: The bus.
        port: Where it listens.
        url: Where clients connect, such as "ws://127.0.0.1:8765/".
    """

    def __init__(
        self,
        bus: Bus,
        limits: Limits,
        authorize: Authorize | None,
        origins: Iterable[str],
        *,
        keep: bool,
    ) -> None:
        self.bus = bus
        self.limits = limits
        self.authorize = authorize
        self.origins = tuple(origins)
        self.encoders = Encoders()
        self.places = Places(limits.places)
        self.connections = 0
        self.host = ""
        self.port = 0
        self.may_cancel = on_asyncio()
        self._keep = keep
        self._statistics: Topic[Any] = Topic(STATISTICS, limit=10, replay=1)
        self._earlier: BusStatistics | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/"

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
        replay = request.replay or 0
        if replay > limits.replay:
            raise ValueError(f"replay is at most {limits.replay:,} here")
        subscribe = self._statistics.subscribe if own else self._subscribe_to(request.patterns)
        # What it begins with is lag, too.
        lag = (request.max_lag or limits.lag) + replay
        seconds = request.max_lag_seconds or limits.lag_seconds
        return subscribe(
            name=name,
            replay=replay,
            since=request.since,
            max_lag=min(lag, limits.lag + replay),
            max_lag_seconds=None if replay or request.since else min(seconds, limits.lag_seconds),
            max_lag_bytes=request.max_lag_bytes,
            on_lag=request.on_lag or "skip",
        )

    async def handle(self, websocket: Any) -> None:
        """Serve one connection until it ends."""
        self.connections += 1
        name = _address(websocket)
        request = websocket.request
        try:
            if request.path.startswith(PLAIN):
                await self._relay_plain(websocket, name)
            elif websocket.subprotocol == SUBPROTOCOL:
                token = bearer(request.headers.get("Authorization"))
                await Session(self, websocket, name, token).run()
            else:
                await disconnect(
                    websocket, CloseCode.PROTOCOL_ERROR, f"ask for the subprotocol {SUBPROTOCOL}"
                )
        except ConnectionClosed:
            pass
        except Exception as error:  # one line, and nobody else is concerned
            _logger.error("%s is cut off, because of a fault here: %r", name, error)
            await disconnect(websocket, CloseCode.INTERNAL_ERROR, "a fault of the hub")
        finally:
            self.connections -= 1

    async def watch(self) -> None:
        """Publish what happens once a second, while somebody reads it."""
        while True:
            await anyio.sleep(1)
            self.places.forget_old()
            if any(each.name != "fan-out" for each in self._statistics.subscriptions()):
                self._statistics.publish(self._look())
            else:
                self._earlier = None

    def health(self) -> dict[str, Any]:
        """Return a few figures for who watches over this."""
        return {
            "status": "closed" if self.bus.closed else "ok",
            "connections": self.connections,
            "topics": len(self.bus.topics()),
        }

    def _subscribe_to(self, patterns: tuple[str, ...]) -> Any:
        def subscribe(**options: Any) -> Subscription[Any]:
            return self.bus.subscribe(*patterns, **options)

        return subscribe

    def _look(self) -> dict[str, Any]:
        now = self.bus.statistics()
        rates = None if self._earlier is None else now.rates(self._earlier)
        self._earlier = now
        subscriptions = sorted(
            (each for each in self.bus.subscriptions() if each.name != "fan-out"),
            key=lambda each: (-each.lag, -each.lag_seconds),
        )
        return {
            "at": time(),
            "connections": self.connections,
            "published": now.published,
            "published_rate": rates and rates.published,
            "received_rate": rates and rates.received,
            "subscriptions": len(subscriptions),
            "topics": [
                {
                    "name": topic.name,
                    "published": topic.published,
                    "rate": rates and rates.topics.get(topic.name),
                    "subscriptions": sum(each.name != "fan-out" for each in topic.subscriptions),
                }
                for topic in now.topics[:_ROWS]
            ],
            "readers": [
                {
                    **asdict(each.statistics()),
                    "on_lag": each.on_lag,
                    "max_lag": each.max_lag,
                }
                for each in subscriptions[:_ROWS]
            ],
        }

    async def _relay_plain(self, websocket: Any, name: str) -> None:
        found = urlsplit(websocket.request.path)
        topic = unquote(found.path.removeprefix(PLAIN))
        query = {key: values[-1] for key, values in parse_qs(found.query).items()}
        token = bearer(websocket.request.headers.get("Authorization")) or query.pop("token", None)
        try:
            request = _plain_request(topic, query)
            if not await allows(self.authorize, token, "read", topic):
                raise ValueError(f"{topic} may not be read")
            subscription = self.subscribe(request, query.get("name", name))
        except (ValueError, TooManyTopics, PositionLost, ProtocolError) as error:
            await disconnect(websocket, CloseCode.POLICY_VIOLATION, str(error))
            return
        with subscription:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_pass_over, websocket)
                ending = await relay(
                    subscription, websocket, encode=encode_plain, patience=self.limits.patience
                )
                tasks.cancel_scope.cancel()
        if ending == "too slow":
            _logger.info("%s is cut off: too slow", name)
            await disconnect(websocket, CloseCode.TRY_AGAIN_LATER, "too slow")


async def _pass_over(websocket: Any) -> None:
    """Read what a client sends that has nothing to say, so that its answers to pings are read."""
    with suppress(ConnectionClosed):  # without a word; `relay` notices, too
        async for _ in websocket:
            pass


def _plain_request(topic: str, query: dict[str, str]) -> Subscribe:
    """Return what the query of a plain topic asks for, checked like a request."""
    numbers = {"replay", "max_lag", "max_lag_seconds", "max_lag_bytes"}
    fields: dict[str, Any] = {"type": "subscribe", "patterns": [topic]}
    for key, value in query.items():
        if key not in numbers:
            fields[key] = value
        elif value.replace(".", "", 1).isdecimal() and len(value) < 20:
            fields[key] = float(value) if "." in value else int(value)
        else:
            raise ValueError(f"{key} is a number, not {value[:20]!r}")
    request = parse_request(write_json(fields))
    assert isinstance(request, Subscribe)
    if "*" in topic or ">" in topic:
        raise ValueError("a plain topic is one name; for patterns there is the protocol")
    return request


def _address(websocket: Any) -> str:
    try:
        host, port = websocket.remote_address[:2]
    except (OSError, TypeError, ValueError):  # it has left
        return "client"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def on_asyncio() -> bool:
    """Return whether an asyncio event loop runs here, and not trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
