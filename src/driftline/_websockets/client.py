"""A client that is not live: it catches up with the head of the fan-out, or is cut off.

It is the task that called `relay`, which otherwise sleeps. It writes what its own subscription
gives, joined like the fan-out does it, whenever the connection takes it, and becomes live where it
meets the head.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from sys import maxsize
from typing import Any, Final, Literal

import anyio
from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.protocol import State

from driftline import SlowConsumer, Subscription
from driftline._websockets.backlog import Backlog, Tell
from driftline._websockets.fan_out import FanOut
from driftline._websockets.patience import Patience
from driftline._websockets.prepared import PreparedMessage
from driftline._websockets.wire import abort_now, compression_of, fragments_end

Ending = Literal["gone", "ended", "too slow"]
"""Why a client is written to no more; `relay` says what each means."""

_TICK: Final = 0.5  # seconds between two looks at the lag of a client that takes nothing
_GRACE: Final = 1.0  # seconds to take the frame that says why it is closed


class Client:
    """One connection, and its place in the topic."""

    def __init__(
        self,
        fan_out: FanOut,
        connection: Connection,
        subscription: Subscription[Any],
        tell: Tell | None,
        patience: float,
        *,
        closes: bool,
    ) -> None:
        self.connection = connection
        self.protocol = connection.protocol
        self.subscription = subscription
        self.compression = compression_of(connection)
        self.write = self._write_and_log if connection.debug else connection.transport.write
        self.live = False
        self._fan_out = fan_out
        self._backlog = Backlog(subscription, fan_out.prepare, tell)
        self._told = tell is not None
        self._closes = closes
        self._patience = Patience(connection, patience)
        self._woken = asyncio.Event()

    def wake(self, _: object = None) -> None:
        """Have the task look again: it is live no more, or what it waits for has come."""
        self.live = False
        self._woken.set()

    async def run(self) -> Ending:
        """Be written to, until the connection or the topic ends, or it is too slow."""
        lost = self.connection.connection_lost_waiter
        lost.add_done_callback(self.wake)
        self._fan_out.clients[self] = None
        try:
            while not lost.done():
                self._woken.clear()
                if self.subscription.closed:  # by somebody else
                    raise anyio.ClosedResourceError(f"{self.subscription!r} was closed")
                if not self._may_write():
                    await self._wait_for_room()
                elif self._fan_out.ended:  # nobody would wake it
                    await asyncio.sleep(0 if self._write_some() else _TICK)
                elif to_head := self._to_head():
                    if to_head > 0:
                        await self._catch_up(to_head)
                    else:
                        self._fan_out.wake_after_pass(self)
                        await self._woken.wait()
                else:
                    self._fan_out.join(self)
                    self.live = True
                    await self._woken.wait()
            return "too slow" if self._patience.over else "gone"
        except anyio.EndOfStream:
            return "ended"
        except SlowConsumer:
            if self._closes:
                await self._cut_off()
            return "too slow"
        finally:
            self._patience.begin()  # whoever closes the connection would wait for what is unsent
            lost.remove_done_callback(self.wake)
            self._fan_out.leave(self)
            del self._fan_out.clients[self]

    async def _catch_up(self, to_head: int) -> None:
        pace = self._fan_out.pace
        if pace.is_enough:
            await pace.begin()  # and look again what there is to do
            return
        await pace.begin()
        try:
            self._write_some(to_head)
        finally:
            await pace.rest()

    def _may_write(self) -> bool:
        return (
            not self.connection.paused
            and self.protocol.state is State.OPEN
            and not self.protocol.expect_continuation_frame
        )

    def _to_head(self) -> int:
        return self._fan_out.head.position.seq - self.subscription.position.seq

    def _write_some(self, most: int = maxsize) -> bool:
        """Write what comes next; return whether there was something."""
        prepared, error = self._backlog.take(most)
        if prepared:
            self._write(prepared)
        if error is not None:
            raise error
        return bool(prepared)

    def _write(self, prepared: list[PreparedMessage]) -> None:
        data = b"".join([message.frame(self.compression) for message in prepared])
        self._fan_out.writes += 1
        self._fan_out.written += len(data)
        with suppress(Exception):  # it is gone, which is told by other means
            self.write(data)

    def _write_and_log(self, data: bytes) -> None:
        self.connection.logger.debug("> %d bytes of the fan-out", len(data))
        self.connection.transport.write(data)

    async def _wait_for_room(self) -> None:
        """Wait until it may be written to, or is gone, or must not be any further behind."""
        while not self._may_write() and not self.connection.connection_lost_waiter.done():
            self._patience.begin()
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(_TICK):
                    await self._something_changes()
            if self._is_too_far_behind():
                self._write_some(1)  # which is refused
        self._patience.end()

    async def _something_changes(self) -> None:
        if self.connection.paused:
            await self.connection.drain()
        elif (fragments := fragments_end(self.connection)) is not None:
            await asyncio.wait([fragments])
        else:
            await self._woken.wait()
            self._woken.clear()

    def _is_too_far_behind(self) -> bool:
        """Whether it must not be any further behind, although it takes nothing."""
        mine = self.subscription
        may_miss = mine.on_lag in {"skip", "latest"} or (mine.on_lag == "raise" and self._told)
        if may_miss or self.protocol.state is not State.OPEN:
            return False
        return (
            mine.lag > (mine.max_lag or mine.lag)
            or mine.lag_seconds > (mine.max_lag_seconds or mine.lag_seconds)
            or (mine.lag_bytes or 0) > (mine.max_lag_bytes or mine.lag_bytes or 0)
        )

    async def _cut_off(self) -> None:
        self._patience.begin()
        with suppress(TimeoutError, ConnectionClosed):
            # One that takes nothing will not take this either.
            async with asyncio.timeout(_GRACE if self.connection.paused else None):
                await self.connection.close(CloseCode.TRY_AGAIN_LATER, "too slow")
        abort_now(self.connection)
