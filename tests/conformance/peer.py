"""One connection, as the server sees it, and what is to come back on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

Payload = str | bytes


class Peer:
    """Sends to one client, and compares what it sends back."""

    def __init__(self, connection: ServerConnection, patience: float) -> None:
        self.connection = connection
        self.compared = 0
        self.fault: str | None = None
        self._patience = patience
        self._awaited: deque[Payload] = deque()

    def expect(self, payload: Payload) -> None:
        """Say what the client gets next."""
        self._awaited.append(payload)

    async def send(self, payload: Payload | AsyncIterable[Payload]) -> None:
        """Send a message of its own; that it has not come is told by `compare`."""
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(self._patience):
                await self.connection.send(payload)

    async def ping(self) -> None:
        """Ping it, and wait for the answer."""
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(self._patience):
                await (await self.connection.ping())

    async def compare(self) -> None:
        """Wait until everything has come back, or something else has."""
        while self._awaited:
            sent = self._awaited.popleft()
            try:
                async with asyncio.timeout(self._patience):
                    got = await self.connection.recv()
            except TimeoutError:
                self.fault = f"nothing came back for {_described(sent)}"
            except ConnectionClosed as closed:
                self.fault = f"closed instead of {_described(sent)}: {closed}"
            else:
                if got == sent:
                    self.compared += 1
                    continue
                self.fault = f"{_described(got)} came back for {_described(sent)}"
            self.fault = f"message {self.compared + 1}: {self.fault}"
            return


def _described(payload: Payload) -> str:
    kind = "characters" if isinstance(payload, str) else "bytes"
    return f"{len(payload)} {kind}, {payload[:20]!r}"
