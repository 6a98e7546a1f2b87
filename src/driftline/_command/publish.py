"""`driftline publish`: values for a topic, each acknowledged by the hub."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, Final, NoReturn

import anyio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from driftline import Topic
from driftline._command.address import Address
from driftline._command.connection import connected, refusal, why
from driftline._command.source import in_thread, standard_input
from driftline._command.words import Complaint, counted
from driftline.protocol import Ping, Pong, Publish, Published, Refused, parse_event, write_request

_AHEAD: Final = 1000  # lines of standard input that are read before they are sent


async def publish(address: Address, topic: str, values: list[str], *, as_json: bool) -> int:
    """Publish values, or the lines of standard input if there are none.

    Raises:
        Complaint: not all of them were published.
    """
    checked = [_value(text, n, as_json=as_json) for n, text in enumerate(values, 1)]
    async with connected(address) as websocket:
        publishing = Publishing(websocket, topic)
        if values:
            await publishing.run(_each(checked))
        else:
            await publishing.run(_input(as_json=as_json))
    return 0


class Publishing:
    """Sends values without waiting for each to be acknowledged, and then waits for all."""

    def __init__(self, websocket: ClientConnection, topic: str) -> None:
        self._websocket = websocket
        self._topic = topic
        self._sent = 0
        self._acknowledged = 0
        self._failure: Complaint | None = None

    async def run(self, values: AsyncIterator[Any]) -> None:
        """Publish all of them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send, values)
            await self._receive()
            tasks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    async def _send(self, values: AsyncIterator[Any]) -> None:
        try:
            async for value in values:
                self._sent += 1
                request = Publish(topic=self._topic, value=value, id=self._sent)
                await self._websocket.send(write_request(request))
        except Complaint as failure:  # what was sent before is to be acknowledged all the same
            self._failure = failure
        except ConnectionClosed:  # which `_receive` hears, too
            return
        with suppress(ConnectionClosed):
            await self._websocket.send(write_request(Ping()))

    async def _receive(self) -> None:
        """Receive answers, of which the one to a ping is the last."""
        while True:
            try:
                frame = await self._websocket.recv()
            except ConnectionClosed as closed:
                self._complain(closed)
            match parse_event(frame):
                case Published():
                    self._acknowledged += 1
                case Pong():
                    return
                case Refused() as refused:
                    raise refusal(refused)

    def _complain(self, closed: ConnectionClosed) -> NoReturn:
        unknown = self._sent - self._acknowledged
        raise Complaint(
            f"the connection is lost ({why(closed)}): "
            f"{counted(self._acknowledged, 'value')} published, "
            f"and {counted(unknown, 'value')} of which this is not known"
        ) from None


async def _each(values: Iterable[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def _input(*, as_json: bool) -> AsyncIterator[Any]:
    lines = Topic[str]("standard input", limit=_AHEAD)
    with lines.subscribe() as subscription:

        def read() -> None:
            try:
                for line in standard_input():
                    lines.send_blocking(line)
                lines.close()
            except (OSError, Complaint) as error:
                lines.close(error)

        in_thread(read, "standard input")
        number = 0
        try:
            async for line in subscription:
                number += 1
                yield _value(line, number, as_json=as_json)
        except anyio.BrokenResourceError as broken:
            raise Complaint(f"standard input cannot be read: {broken.__cause__}") from None


def _value(text: str, number: int, *, as_json: bool) -> Any:
    if not as_json:
        return text.encode(errors="surrogateescape").decode(errors="replace")
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Complaint(f"value {number} is no JSON: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is none")
