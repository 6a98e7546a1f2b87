"""A subscription that goes on when the connection is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import uniform
from time import monotonic
from typing import Final

import anyio
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from driftline._command.address import Address
from driftline._command.connection import Unreachable, connected, refusal, why
from driftline._command.words import Complaint, counted, say
from driftline.protocol import (
    Acknowledge,
    Delivered,
    Following,
    Missed,
    Refused,
    Subscribe,
    Subscribed,
    Unsubscribe,
    parse_event,
    write_request,
)

KEEP: Final = 60.0  # seconds for which the hub keeps our place
_SHORTEST, _LONGEST = 0.1, 10.0  # seconds between two attempts to connect
_ACKNOWLEDGE: Final = 1.0  # seconds
_FINAL: Final = {
    CloseCode.INVALID_DATA,
    CloseCode.POLICY_VIOLATION,
    CloseCode.PROTOCOL_ERROR,
}

Take = Callable[[Delivered], Awaitable[bool]]
"""Is given each message, and returns whether more are wanted."""


class Reading:
    """Reads a subscription until nobody wants more, over as many connections as it takes.

    What was missed, and when the connection was lost and found, it says on standard error.

    Args:
        address: the hub.
        request: what to subscribe to.
        take: is given each message.
    """

    def __init__(self, address: Address, request: Subscribe, take: Take) -> None:
        self._address = address
        self._take = take
        self._following = Following(replace(request, id=1))
        self._begun = False  # at least once
        self._lost = False
        self._subscribed = False  # on this connection
        self._pause = _SHORTEST
        self._acknowledged = 0
        self._acknowledged_at = monotonic()

    async def run(self) -> None:
        """Read until the topic ends, or until `take` has enough.

        Raises:
            Complaint: the hub is not there at first, or does not allow it.
        """
        while True:
            try:
                async with connected(self._address) as websocket:
                    await self._read(websocket)
                    return
            except Unreachable:
                if not self._begun:
                    raise
            except ConnectionClosed as closed:
                self._judge(closed)
            await anyio.sleep(self._pause * uniform(0.5, 1))  # not all clients at the same time
            self._pause = min(2 * self._pause, _LONGEST)

    def _judge(self, closed: ConnectionClosed) -> None:
        code = None if closed.rcvd is None else closed.rcvd.code
        wanted = self._following.request.on_lag == "close"
        if code in _FINAL or (wanted and code == CloseCode.TRY_AGAIN_LATER):
            raise Complaint(f"the hub has closed the connection: {why(closed)}")
        if not self._lost:
            say(f"the connection is lost ({why(closed)}); trying again until it is back, or Ctrl-C")
        self._lost = True

    async def _read(self, websocket: ClientConnection) -> None:
        following = self._following
        self._subscribed = False
        await websocket.send(write_request(following.begin()))
        try:
            while not following.ended:
                frame = None
                with anyio.move_on_after(_ACKNOWLEDGE):
                    frame = await websocket.recv()
                if frame is not None and not await self._hear(frame, websocket):
                    return
                await self._acknowledge(websocket)
        finally:
            await self._leave(websocket)

    async def _hear(self, frame: str | bytes, websocket: ClientConnection) -> bool:
        """Return whether more is wanted."""
        following = self._following
        try:
            event = parse_event(frame)
        except ValueError as error:
            raise Complaint(f"{self._address.shown} is no hub: {error}") from None
        wants_more = True
        match event:
            case Delivered(to=following.to):
                wants_more = await self._take(event)
            case Missed(to=following.to, count=count):
                say(f"missed {counted(count, 'message')}, which came faster than they were read")
            case Subscribed():
                self._begin()
            case Refused(code="lost", id=1) if self._begun:
                say("connected again, but not to where it was; what came meanwhile is lost")
                self._lost = False
                self._subscribed = False
                # What it began with, it has had.
                anew = replace(following.restart(), replay=None)
                await websocket.send(write_request(anew))
            case Refused():
                raise refusal(event)
        for request in following.see(event):
            await websocket.send(write_request(request))
        return wants_more

    def _begin(self) -> None:
        if self._lost:
            say("connected again; nothing is lost")
        self._begun, self._subscribed, self._lost = True, True, False
        self._pause = _SHORTEST

    async def _acknowledge(self, websocket: ClientConnection) -> None:
        """Say what was had, once a second, or it would look as if it were not read."""
        following, now = self._following, monotonic()
        if now < self._acknowledged_at + _ACKNOWLEDGE or following.request.keep is None:
            return
        self._acknowledged_at = now
        if not self._subscribed or following.to is None:
            return
        if following.count != self._acknowledged:
            self._acknowledged = following.count
            request = Acknowledge(to=following.to, count=following.count)
            await websocket.send(write_request(request))

    async def _leave(self, websocket: ClientConnection) -> None:
        """Have the hub keep nothing for who does not come back; if it is gone, it will."""
        if not self._subscribed or self._following.to is None or self._following.ended:
            return
        with anyio.move_on_after(0.5, shield=True):
            try:
                await websocket.send(write_request(Unsubscribe(to=self._following.to)))
            except ConnectionClosed:
                return
