"""The other way: what a client sends, published on a topic."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import anyio
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline import Topic
from driftline._websockets.allowance import Allowance
from driftline._websockets.disconnecting import disconnect


async def publish_from(
    websocket: Any,
    topic: Topic[Any],
    *,
    decode: Callable[[Any], Any] | None = None,
    rate: float | None = None,
    burst: int = 10,
    max_size: int | None = None,
) -> None:
    """Publish what a client sends, until it goes.

    A client that sends faster than it may is not read for a while: its messages wait at its end of
    the connection, and nothing piles up here. When it leaves in the usual way, what it sent before
    is still published, at its rate; when the connection is lost, it is not. One that sends what it
    must not is disconnected, with a code that says so; what it sent before is published.

    Args:
        websocket: a connection of websockets, on asyncio or trio.
        topic: where to publish.
        decode: makes a value of text or bytes. If it raises ValueError, the client is disconnected
            with code 1007, and the text of the error as the reason.
        rate: messages a second, after a burst.
        burst: messages that may come at once, 1 or more.
        max_size: bytes, or characters of text, in a message; more, and the client is disconnected
            with code 1009. `serve(max_size=...)` refuses larger ones before they are read.

    Raises:
        anyio.ClosedResourceError: the topic was closed; that message is not published.
    """
    if not isinstance(topic, Topic):
        raise TypeError(f"publish_from takes a connection and then a topic, not {topic!r}")
    if not iscoroutinefunction(websocket.recv):
        raise TypeError(
            "publish_from is for asyncio and trio; in a thread, publish what recv gives"
        )
    allowance = Allowance(1.0 if rate is None else rate, burst)
    while True:
        try:
            data = await websocket.recv()
        except ConnectionClosed:
            return
        if max_size is not None and len(data) > max_size:
            return await disconnect(websocket, CloseCode.MESSAGE_TOO_BIG, f"over {max_size}")
        try:
            value = data if decode is None else decode(data)
        except ValueError as error:
            return await disconnect(websocket, CloseCode.INVALID_DATA, str(error))
        topic.publish(value)
        if rate is not None:
            # Not a mere sleep: what was read ahead would keep this busy long after the client left.
            with anyio.move_on_after(allowance.spend()):
                await websocket.wait_closed()
                return
