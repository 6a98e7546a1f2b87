"""Closing a connection in bounded time, whatever its client does."""

from __future__ import annotations

from typing import Any, Final

import anyio

from driftline._websockets.wire import abort_now

_GRACE: Final = 1.0  # seconds to take the frame that says why it is closed
_LONGEST: Final = 123  # bytes that a reason has room for


async def disconnect(
    websocket: Any, code: int = 1000, reason: str = "", *, grace: float = _GRACE
) -> None:
    """Close a connection, and abort it if its client has not taken that in time.

    `close()` of websockets waits for a client that takes nothing for as long as it takes nothing.

    Args:
        websocket: a connection of websockets, on asyncio or trio.
        code: the code that tells why, as in RFC 6455, section 7.4.
        reason: more about it, of which 123 bytes are sent.
        grace: seconds after which the connection is aborted.
    """
    close = getattr(websocket, "close", None) or websocket.aclose
    text = reason.encode(errors="replace")[:_LONGEST].decode(errors="ignore")
    with anyio.move_on_after(grace) as scope:
        await close(code, text)
    if scope.cancelled_caught:
        await abort(websocket)


async def abort(websocket: Any) -> None:
    """End a connection without a word."""
    if hasattr(websocket, "transport"):
        abort_now(websocket)
    else:
        with anyio.move_on_after(0):  # which closes a stream of trio by force
            await websocket.stream.aclose()
