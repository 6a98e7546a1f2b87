"""Sending to one client what its subscription gives, where frames cannot be shared."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import anyio
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from driftline import SlowConsumer, Subscription
from driftline._websockets.backlog import Backlog, Encoding, Tell
from driftline._websockets.client import Ending
from driftline._websockets.disconnecting import abort, disconnect
from driftline._websockets.patience import LOOKS, acknowledged
from driftline._websockets.prepared import PreparedMessage

_GRACE: Final = 1.0  # seconds to take the frame that says why it is closed
_LOOK: Final = 1.0  # seconds between two looks of a thread whether the client is still there


async def send_all(
    subscription: Subscription[Any],
    websocket: Any,
    encoding: Encoding,
    tell: Tell | None,
    patience: float,
    *,
    closes: bool,
) -> Ending:
    """Send until the client goes, or the topic ends, or the client is too slow."""
    backlog = Backlog(subscription, encoding.prepare, tell)
    failed: BaseException = anyio.EndOfStream()
    attempt = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            nonlocal failed
            await websocket.wait_closed()
            failed = ConnectionClosed(None, None)
            tasks.cancel_scope.cancel()

        async def allow_more_time() -> None:
            """Whoever takes something may take all the time that it needs."""
            before = 0
            while True:
                taken = acknowledged(_socket_of(websocket))
                if taken > before:
                    attempt.deadline = anyio.current_time() + patience
                before = taken
                await anyio.sleep(patience / LOOKS)

        tasks.start_soon(watch)
        tasks.start_soon(allow_more_time)
        try:
            while True:
                prepared, error = backlog.take()
                if not prepared and error is None:
                    prepared = await backlog.wait()
                with anyio.fail_after(patience) as attempt:
                    await _send_together(websocket, prepared)
                if error is not None:
                    raise error
        except Exception as error:  # not raised here, where it would come in a group
            failed = error
        tasks.cancel_scope.cancel()
    try:
        raise failed
    except anyio.EndOfStream:
        return "ended"
    except ConnectionClosed:
        return "gone"
    except SlowConsumer:
        if closes:
            await disconnect(websocket, CloseCode.TRY_AGAIN_LATER, "too slow")
        return "too slow"
    except TimeoutError:
        await abort(websocket)
        return "too slow"


def send_all_blocking(
    subscription: Subscription[Any],
    websocket: Any,
    encoding: Encoding,
    tell: Tell | None,
    patience: float,
    *,
    closes: bool,
) -> Ending:
    """Send until the client goes, or the topic ends, or the client is too slow."""
    _bound_sending(websocket.socket, patience)
    backlog = Backlog(subscription, encoding.prepare, tell)
    begin = monotonic()
    try:
        while websocket.protocol.state is State.OPEN:
            with suppress(TimeoutError):
                for message in backlog.wait_blocking(_LOOK):
                    begin = monotonic()
                    websocket.send(message.data, text=message.text)
    except anyio.EndOfStream:
        return "ended"
    except ConnectionClosed:
        return "too slow" if monotonic() - begin >= patience else "gone"
    except SlowConsumer:
        if closes:
            websocket.close_timeout = _GRACE
            websocket.close(CloseCode.TRY_AGAIN_LATER, "too slow")
        return "too slow"
    return "gone"


async def _send_together(websocket: Any, prepared: list[PreparedMessage]) -> None:
    """Send messages in one piece, as far as this release of websockets lets us."""
    protocol = websocket.protocol
    joins = hasattr(websocket, "send_context") and isinstance(getattr(protocol, "writes", 0), list)
    if len(prepared) < 2 or not joins or protocol.expect_continuation_frame:
        for message in prepared:
            await websocket.send(message.data, text=message.text)
        return
    async with websocket.send_context():
        for message in prepared:
            (protocol.send_text if message.text else protocol.send_binary)(message.data)
        protocol.writes[:] = [b"".join(protocol.writes)]


def _socket_of(websocket: Any) -> Any:
    """Return the socket of a connection on asyncio or trio, or None."""
    if hasattr(websocket, "transport"):
        return websocket.transport.get_extra_info("socket")
    stream = websocket.stream
    return getattr(getattr(stream, "transport_stream", stream), "socket", None)


def _bound_sending(connected: socket.socket, seconds: float) -> None:
    """Have a blocking `sendall` give up when the client takes nothing for so long."""
    if sys.platform != "win32":
        whole, rest = divmod(seconds, 1)
        interval = struct.pack("ll", int(whole), int(rest * 1e6))
        with suppress(OSError):  # the client has left
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)
