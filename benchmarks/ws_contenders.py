"""Ways to bring each message to every WebSocket client, each the way its documentation shows it.

All are given the same kind of connections, none of which loses anything. `publish` hands a message
to all of them, and when `complete` says so, all have been written to. Until then the publisher lets
the event loop turn.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from driftline import Topic
from driftline.websockets import PreparedMessage, SharedDeflate, relay

from .contenders import DocumentedList
from .ws_rivals import NATIVE, ROOM, Member

Connections = Sequence[ServerConnection]


class WebSocketContender(Protocol):
    """A way to bring each message to all of the connections that it was made with."""

    def publish(self, message: Any, /) -> Awaitable[None] | None:
        """Hand what `prepare` has made of a message to all; wait for what it returns, if that."""

    def complete(self) -> bool:
        """Return whether all have been written to. Constant cost."""
        return True

    def prepare(self, message: str, /) -> Any:
        """Make of a message, before the clock runs, what this is given."""
        return message

    async def stop(self) -> None:
        """Leave the connections as they were."""


class Broadcast(WebSocketContender):
    """What websockets itself has for it."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    def publish(self, message: str) -> None:
        broadcast(self.connections, message)


class Naive(WebSocketContender):
    """The naive way of the websockets documentation: send to one after the other."""

    def __init__(self, connections: Connections) -> None:
        self.connections = set(connections)

    async def publish(self, message: str) -> None:
        for connection in self.connections.copy():
            try:  # noqa: SIM105, as documented
                await connection.send(message)
            except ConnectionClosed:
                pass


class TaskPerSend(WebSocketContender):
    """The concurrent way of the websockets documentation: a task for each, and wait for none."""

    def __init__(self, connections: Connections) -> None:
        self.connections = set(connections)
        self.left = 0

    async def send(self, connection: ServerConnection, message: str) -> None:
        try:  # noqa: SIM105, as documented
            await connection.send(message)
        except ConnectionClosed:
            pass
        self.left -= 1

    def publish(self, message: str) -> Awaitable[None] | None:
        self.left += len(self.connections)
        for connection in self.connections:
            asyncio.create_task(self.send(connection, message))  # noqa: RUF006, as documented
        return None

    def complete(self) -> bool:
        return not self.left


class WaitForAll(TaskPerSend):
    """The same, but wait until the last one is done."""

    async def publish(self, message: str) -> None:
        self.left += len(self.connections)
        await asyncio.wait([
            asyncio.create_task(self.send(connection, message)) for connection in self.connections
        ])  # fmt: skip


class TaskPerClient(WebSocketContender):
    """A task for each connection, as its handler."""

    def __init__(self, connections: Connections) -> None:
        self.left = 0
        self.clients = len(connections)
        self.tasks = [asyncio.create_task(self.handle(connection)) for connection in connections]

    def handle(self, connection: ServerConnection) -> Coroutine[Any, Any, None]:
        """Send to one connection whatever is published, and count it in `left`."""
        raise NotImplementedError

    def complete(self) -> bool:
        return not self.left

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise RuntimeError("a task has ended") from end


class PubSubAndSend(TaskPerClient):
    """The `PubSub` class of the websockets documentation, and `send()`."""

    def __init__(self, connections: Connections) -> None:
        self.pubsub = DocumentedList[str]()
        super().__init__(connections)

    def publish(self, message: str) -> None:
        self.left += self.clients
        self.pubsub.publish(message)

    async def handle(self, connection: ServerConnection) -> None:
        async for message in self.pubsub:
            await connection.send(message)
            self.left -= 1


class QueueAndSend(TaskPerClient):
    """The "Per-client queues" of the websockets documentation, and `send()`."""

    def __init__(self, connections: Connections) -> None:
        self.queues: set[asyncio.Queue[str]] = set()
        super().__init__(connections)

    def publish(self, message: str) -> None:
        self.left += self.clients
        for queue in self.queues:
            queue.put_nowait(message)

    async def handle(self, connection: ServerConnection) -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self.queues.add(queue)
        while True:
            await connection.send(await queue.get())
            self.left -= 1


class TopicAndSend(TaskPerClient):
    """driftline: a subscription in the handler of each connection, and `send()`."""

    def __init__(self, connections: Connections) -> None:
        self.topic = Topic[str]("benchmark")
        super().__init__(connections)

    def publish(self, message: str) -> None:
        self.left += self.clients
        self.topic.publish(message)

    async def handle(self, connection: ServerConnection) -> None:
        async for message in self.topic.subscribe():
            await connection.send(message)
            self.left -= 1


class Relay(TaskPerClient):
    """driftline: `relay` in the handler of each connection."""

    def __init__(self, connections: Connections, limit: int | None = None) -> None:
        self.topic = Topic[str]("benchmark", limit=limit)
        self.connections = connections
        # `relay` would make them, but so one can see where the last of them stands.
        self.subscriptions = {
            connection: self.topic.subscribe(on_lag="skip") for connection in connections
        }
        self.last = self.subscriptions[connections[-1]]
        super().__init__(connections)

    def publish(self, message: str) -> None:
        self.topic.publish(message)

    async def handle(self, connection: ServerConnection) -> None:
        await relay(self.subscriptions[connection], connection)

    def complete(self) -> bool:
        return self.last.received == self.topic.published

    async def stop(self) -> None:
        await super().stop()
        forget = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        for connection in self.connections:
            self.subscriptions[connection].close()
            if forget is not None:
                connected = connection.transport.get_extra_info("socket")
                connected.setsockopt(socket.IPPROTO_TCP, forget, 0)


class Writes(WebSocketContender):
    """The floor: frames made before, and nothing but `transport.write`."""

    def __init__(self, connections: Connections) -> None:
        self.writes = [connection.transport.write for connection in connections]
        extensions = connections[0].protocol.extensions  # which all have
        self.compression = next(
            (each.compression for each in extensions if isinstance(each, SharedDeflate)), None
        )

    def prepare(self, message: str) -> bytes:
        return PreparedMessage(message).frame(self.compression)

    def publish(self, message: bytes) -> None:
        for write in self.writes:
            write(message)


class Members(WebSocketContender):
    """What a server of its own has for it; see `ws_rivals`."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members

    def publish(self, message: str) -> Awaitable[None] | None:
        return self.members[0].publish(message)


LIMIT = 1000

NAIVE = "send() in a loop"
TASK = "task for each send()"
WAIT = "tasks, and wait for all"
BROADCAST = "broadcast()"
PUBSUB = "PubSub and send()"
QUEUE = "Queue and send()"
DRIFTLINE_SEND = "driftline topic and send()"
DRIFTLINE = "driftline relay"
DRIFTLINE_STOCK = "driftline relay, without serve_options()"
DRIFTLINE_LIMITED = f"driftline relay, limit={LIMIT:_}"
FLOOR = "floor: transport.write()"

MAKE: dict[str, Callable[[Any], WebSocketContender]] = {
    NAIVE: Naive,
    TASK: TaskPerSend,
    WAIT: WaitForAll,
    BROADCAST: Broadcast,
    PUBSUB: PubSubAndSend,
    QUEUE: QueueAndSend,
    DRIFTLINE_SEND: TopicAndSend,
    DRIFTLINE: Relay,
    DRIFTLINE_STOCK: Relay,
    FLOOR: Writes,
    DRIFTLINE_LIMITED: partial(Relay, limit=LIMIT),
    ROOM: Members,
    NATIVE: Members,
}
