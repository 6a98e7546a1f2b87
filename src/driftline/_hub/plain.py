"""One client that wants the messages of one topic, and knows no protocol."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import anyio
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline._hub.access import allows, bearer
from driftline._hub.encoding import encode_plain
from driftline._hub.words import in_words
from driftline.protocol import ProtocolError, Subscribe, parse_request, write_json
from driftline.websockets import Allowance, disconnect, relay

if TYPE_CHECKING:
    from driftline._hub.hub import Hub

PLAIN: Final = "/topic/"
_TEXTS: Final = {"name", "since", "on_lag"}
_NUMBERS: Final = {"replay", "max_lag", "max_lag_seconds", "max_lag_bytes"}

_logger = logging.getLogger("driftline.hub")


class PlainClient:
    """What it reads, until it goes.

    Args:
        hub: the hub.
        websocket: the connection.
        name: what its reader is called if it does not say.
    """

    def __init__(self, hub: Hub, websocket: Any, name: str) -> None:
        self._hub = hub
        self._websocket = websocket
        self._name = name
        path, _, query = websocket.request.path.partition("?")
        self._topic = unquote(path.removeprefix(PLAIN))
        self._query = {key: values[-1] for key, values in parse_qs(query).items()}
        token = self._query.pop("token", None)
        self._token = bearer(websocket.request.headers.get("Authorization")) or token

    async def run(self) -> None:
        """Send it what is published, until it goes, or may read it no more."""
        try:
            request = _read(self._topic, self._query)
            if not await self._may_read():
                raise ValueError(f"{self._topic} may not be read")
            with in_words(request):
                subscription = self._hub.subscribe(request, request.name or self._name)
        except (ValueError, ProtocolError) as error:
            return await disconnect(self._websocket, CloseCode.POLICY_VIOLATION, str(error))
        with subscription:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._pass_over)
                if self._hub.authorize is not None:
                    tasks.start_soon(self._watch_access)
                with suppress(anyio.BrokenResourceError):  # it ends all the same
                    ending = await relay(
                        subscription,
                        self._websocket,
                        encode=encode_plain,
                        patience=self._hub.limits.patience,
                    )
                    if ending == "too slow":
                        await self._cut_off(CloseCode.TRY_AGAIN_LATER, "too slow")
                tasks.cancel_scope.cancel()

    async def _pass_over(self) -> None:
        """Read what it sends, which means nothing, so that its answers to pings are read."""
        allowance = Allowance(self._hub.limits.rate, self._hub.limits.burst)
        with suppress(ConnectionClosed):
            while True:
                await self._websocket.recv()
                await anyio.sleep(allowance.spend())

    async def _watch_access(self) -> None:
        while True:
            await anyio.sleep(self._hub.limits.recheck_seconds)
            if not await self._may_read():
                break
        await self._cut_off(CloseCode.POLICY_VIOLATION, f"{self._topic} may not be read any more")

    async def _may_read(self) -> bool:
        return await allows(self._hub.authorize, self._token, "read", self._topic)

    async def _cut_off(self, code: int, reason: str) -> None:
        _logger.info("%s is cut off: %s", self._name, reason)
        await disconnect(self._websocket, code, reason)


def _read(topic: str, query: dict[str, str]) -> Subscribe:
    """Return what is asked for, checked like a request."""
    if "*" in topic or ">" in topic:
        raise ValueError("a plain topic is one name; for patterns there is the protocol")
    fields: dict[str, Any] = {"type": "subscribe", "patterns": [topic]}
    for key, value in query.items():
        if key in _TEXTS:
            fields[key] = value
        elif key not in _NUMBERS:
            raise ValueError(f"a plain topic has no {key[:40]!r}")
        elif value.isascii() and value.replace(".", "", 1).isdigit() and len(value) < 20:
            fields[key] = float(value) if "." in value else int(value)
        else:
            raise ValueError(f"{key} is a number, not {value[:20]!r}")
    request = parse_request(write_json(fields))
    assert isinstance(request, Subscribe)
    return request
