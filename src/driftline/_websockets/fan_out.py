"""One reader of a topic for all clients of an event loop, who writes to those that keep up.

The problem: a task for each client costs more than the writing itself, and a loop that writes to
all fills the buffers of those that do not read.

The model: one subscription, the *head*, is read by one task. What has come since the last time is
framed once, joined, and written to all clients that are *live*, in one flat loop; their own
subscriptions are led along. A client whose buffer is full, or who may not be written to for another
reason, is live no more. Nothing is kept for it but its place in the topic, and it catches up by
itself, as `client` says.

Invariants:

F1. A live client stands where the head stands, except while a pass is under way. A pass begins
    when the head is read, and so before the window.
F2. Who becomes live during a pass stands where that pass leads to, and is not written to in it.
F3. Who was ahead of the head when a pass begins, because it came during the window, gets the end of
    what the pass sends, whatever lag it tolerates: the lag was ours.
F4. Whatever goes wrong for all at once, such as messages that were cut off, or a value that cannot
    be encoded, leaves all behind: each then meets it by itself, on its own terms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

import anyio
from websockets.protocol import State

from driftline import Message, Subscription, Topic
from driftline._websockets.backlog import EACH, ENOUGH, Encoding
from driftline._websockets.pace import Pace
from driftline._websockets.prepared import Compression, PreparedMessage

if TYPE_CHECKING:
    from driftline._websockets.client import Client

_SLICE: Final = 500  # clients written to before other tasks have their turn
_LOOK: Final = 1.0  # seconds between two looks for clients that have stopped reading
# What was framed before is kept for clients that are a little behind.
_KEPT: Final = 256  # messages
_KEPT_BYTES: Final = 1024 * 1024

Live = dict["Client", None]


class FanOut:
    """Writes what is published on one topic to many clients."""

    def __init__(self, topic: Topic[Any], encoding: Encoding, window: float, pace: Pace) -> None:
        self.topic = topic
        self.pace = pace
        self.head: Subscription[Any] = topic.subscribe(name="fan-out", on_lag="skip")
        self.ended = False
        self.users = 0
        self.clients: dict[Client, None] = {}
        self.passes = self.messages = self.writes = self.written = 0
        self._encoding = encoding
        self._window = window
        self._live: dict[Compression | None, Live] = {}
        self._joining: list[Client] | None = None  # while a pass is under way
        self._waiting: Live = {}
        self._prepared: dict[tuple[Any, ...], PreparedMessage] = {}
        self._prepared_bytes = 0
        self._loop = asyncio.get_running_loop()
        # It serves many handlers, so it must not keep, nor give `encode`, what is the first's own.
        self._task = self._loop.create_task(
            self._run(), name=f"fan-out of {topic.name!r}", context=Context()
        )
        self._look()

    def close(self) -> None:
        """Stop reading. All clients have left."""
        self._task.cancel()
        self._timer.cancel()
        self.head.close()

    def join(self, client: Client) -> None:
        """Write to this client from now on; it stands where the head stands."""
        if self._joining is not None:
            self._joining.append(client)
        else:
            self._live.setdefault(client.compression, {})[client] = None

    def leave(self, client: Client) -> None:
        """Write to this client no more."""
        live = self._live.get(client.compression, {})
        live.pop(client, None)
        if not live:
            self._live.pop(client.compression, None)
        if self._joining and client in self._joining:
            self._joining.remove(client)
        self._waiting.pop(client, None)

    def wake_after_pass(self, client: Client) -> None:
        """Wake a client that is ahead of the head when the head has moved."""
        self._waiting[client] = None

    def prepare(self, message: Message[Any]) -> PreparedMessage:
        """Return the message as it is sent, framed before if it was one of the last."""
        key = message.seq, message.topic, message.published_at, id(message.value)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = self._encoding.prepare(message)
            self._prepared_bytes += len(prepared.data)
            # At least the last is kept: a large one costs the most to make again for each client.
            while len(self._prepared) > 1 and self._is_too_much():
                oldest = self._prepared.pop(next(iter(self._prepared)))
                self._prepared_bytes -= len(oldest.data)
        return prepared

    def _is_too_much(self) -> bool:
        return len(self._prepared) > _KEPT or self._prepared_bytes > _KEPT_BYTES

    async def _run(self) -> None:
        try:
            messages = self.head.messages()
            while True:
                missed = self.head.missed
                message = await anext(messages)
                self._joining = []
                try:
                    await self._send_on(message, messages.receive_nowait, missed)
                finally:
                    self._let_join()
                self._wake_those_ahead()
                if self.head.lag:  # who publishes faster than this is written lets others run
                    await asyncio.sleep(0)
        except (StopAsyncIteration, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self.ended = True
            self._leave_behind(self._all_live())
            self._wake_those_ahead()

    async def _send_on(
        self,
        message: Message[Any],
        receive_nowait: Callable[[], Message[Any]],
        missed: int,
    ) -> None:
        if self._window:
            await asyncio.sleep(self._window)
        await self.pace.begin()
        try:
            prepared = list(self._collect(message, receive_nowait))
        except Exception:  # raised to each client again, when it comes to that message
            self._leave_behind(self._all_live())
        else:
            if self.head.missed == missed:
                self._write_to_those_ahead(prepared)
                await self._pass(prepared)
            else:
                self._leave_behind(self._all_live())
        self.pace.end()

    def _collect(
        self, message: Message[Any], receive_nowait: Callable[[], Message[Any]]
    ) -> Iterator[PreparedMessage]:
        """Prepare this message, and what else there is, as far as it is to be joined."""
        size = 0
        while True:
            prepared = self.prepare(message)
            yield prepared
            size += len(prepared.data) + EACH
            if size >= ENOUGH:
                return
            try:
                message = receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream, anyio.BrokenResourceError):
                return

    def _write_to_those_ahead(self, prepared: list[PreparedMessage]) -> None:
        reached = self.head.position.seq
        for client in [*self._waiting, *(self._joining or ())]:
            to_head = reached - client.subscription.position.seq
            if 0 < to_head < len(prepared):
                last = prepared[-to_head:]
                self._write(b"".join([each.frame(client.compression) for each in last]), [client])

    async def _pass(self, prepared: list[PreparedMessage]) -> None:
        self.passes += 1
        self.messages += len(prepared)
        written = 0
        for compression in list(self._live):
            data = b"".join([message.frame(compression) for message in prepared])
            # Not sooner: while others were written to, some may have gone, or gone ahead.
            live = list(self._live.get(compression, ()))
            for start in range(0, len(live), _SLICE):
                some = live[start : start + _SLICE]
                written += len(some)
                if written > _SLICE:
                    await self.pace.rest()
                    written = len(some)
                    now_live = self._live.get(compression, {})
                    some = [client for client in some if client in now_live]
                self._write(data, some)

    def _let_join(self) -> None:
        """Let those be live who came while the head was ahead, if they stand where it stands."""
        joining, self._joining = self._joining or [], None
        for client in joining:
            if client.subscription.position == self.head.position:
                self.join(client)
            else:
                client.wake()

    def _write(self, data: bytes, clients: list[Client]) -> None:
        written: list[Client] = []
        behind: list[Client] = []
        is_open = State.OPEN
        for client in clients:
            protocol = client.protocol
            if (
                client.connection.paused
                or protocol.state is not is_open
                or protocol.expect_continuation_frame
            ):
                behind.append(client)
                continue
            try:
                client.write(data)
            except Exception:  # its connection is gone
                behind.append(client)
            else:
                written.append(client)
        self.writes += len(written)
        self.written += len(written) * len(data)
        try:
            self.head.lead([client.subscription for client in written])
        except (ValueError, anyio.BusyResourceError):
            behind += [client for client in written if not self._led(client)]
        self._leave_behind(behind)

    def _led(self, client: Client) -> bool:
        try:
            self.head.lead([client.subscription])
        except (ValueError, anyio.BusyResourceError):  # somebody else reads or moves it
            return False
        return True

    def _all_live(self) -> list[Client]:
        return [client for live in self._live.values() for client in live]

    def _leave_behind(self, clients: Iterable[Client]) -> None:
        for client in clients:
            self.leave(client)
            client.wake()

    def _wake_those_ahead(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for client in waiting:
            client.wake()

    def _look(self) -> None:
        """Find those that have stopped reading, or being read, while nothing was published."""
        self._leave_behind(
            client
            for client in self._all_live()
            if client.connection.paused
            or client.protocol.state is not State.OPEN
            or client.subscription.closed
        )
        self._timer = self._loop.call_later(_LOOK, self._look)
