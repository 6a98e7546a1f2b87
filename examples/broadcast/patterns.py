"""Eight ways to send one message to every connected WebSocket client.

The first six are the ideas of the "Broadcasting messages" page of the websockets documentation,
in its order; the last two are driftline. They all have the face of `Pattern`, so that one server
can run any of them, and the difference between two patterns is that between two classes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from driftline import Lagged, SlowConsumer, Subscription, Topic
from driftline.websockets import relay
from examples.broadcast.terms import Account, Terms, tell_missed


class Pattern(ABC):
    """What the server asks of a pattern."""

    @abstractmethod
    async def serve(self, websocket: ServerConnection) -> None:
        """Serve one client, from this moment until `finish`; cancelled when the client leaves.

        It takes the client's place before it first waits: what is broadcast afterwards arrives.
        """

    @abstractmethod
    async def broadcast(self, message: str) -> None:
        """Send ``message`` to every client now served."""

    @abstractmethod
    def finish(self) -> None:
        """Nothing more will be broadcast: each `serve` returns when its client has everything."""

    def lags(self) -> list[tuple[str, int, float]] | None:
        """Name, messages behind and seconds behind of each client; None if it cannot be known."""
        return None


class _ToEachClient(Pattern):
    """What the first four have in common: a set of clients, and a loop over it."""

    def __init__(self) -> None:
        self.clients: set[ServerConnection] = set()
        self.finished = asyncio.Event()

    async def serve(self, websocket: ServerConnection) -> None:
        self.clients.add(websocket)
        try:
            await self.finished.wait()
        finally:
            self.clients.discard(websocket)

    def finish(self) -> None:
        self.finished.set()


async def _send(websocket: ServerConnection, message: str) -> None:
    """Send, unless the client left a moment ago: then it is no longer one of "all clients"."""
    with suppress(ConnectionClosed):
        await websocket.send(message)


class Naive(_ToEachClient):
    """Send to one client after the other, and wait for each.

    One client whose write buffer is full stops the message for everybody behind it.
    """

    async def broadcast(self, message: str) -> None:
        for websocket in list(self.clients):  # a copy: clients come and go during the waiting
            await _send(websocket, message)


class Task(_ToEachClient):
    """Start one task per client and message, and wait for none.

    Behind a slow client tasks pile up without bound, and only habit keeps them in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sending: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly

    async def serve(self, websocket: ServerConnection) -> None:
        await super().serve(websocket)
        if self.sending:
            await asyncio.wait(set(self.sending))

    async def broadcast(self, message: str) -> None:
        for websocket in self.clients:
            task = asyncio.create_task(_send(websocket, message))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)


class Wait(_ToEachClient):
    """Start one task per client, and wait until the last one is done.

    The order is certain, and everybody gets messages at the pace of the slowest client.
    """

    async def broadcast(self, message: str) -> None:
        if self.clients:
            await asyncio.wait([asyncio.create_task(_send(each, message)) for each in self.clients])


class Default(_ToEachClient):
    """Write into every client's buffer with `websockets.broadcast()`, and never wait.

    The cheapest loop; the write buffer of a client that stops reading grows without bound.
    """

    async def broadcast(self, message: str) -> None:
        broadcast(self.clients, message)


class Queue(Pattern):
    """Put the message on one queue per client; a relay for each client takes it from there.

    One queue entry per message and client; what a full queue drops, nobody is told.
    """

    queue_limit = 10_000  # messages; one more, and the client skips its oldest
    batch_above = 10  # messages waiting: then they leave together, one per line of one frame
    buffer_above = 1024  # bytes still unsent: the network is slow, so fewer and larger frames help

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[str | None]] = set()

    async def serve(self, websocket: ServerConnection) -> None:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.queues.add(queue)
        try:
            await self._relay(queue, websocket)
        finally:
            self.queues.discard(queue)

    async def _relay(self, queue: asyncio.Queue[str | None], websocket: ServerConnection) -> None:
        while (message := await queue.get()) is not None:
            batch = [message]
            unsent = websocket.transport.get_write_buffer_size()
            if queue.qsize() > self.batch_above or unsent > self.buffer_above:
                while not queue.empty() and len(batch) < 100:
                    if (message := queue.get_nowait()) is None:
                        queue.put_nowait(None)  # the end mark: the last in the queue, as before
                        break
                    batch.append(message)
            await websocket.send("\n".join(batch))

    async def broadcast(self, message: str) -> None:
        for queue in self.queues:
            if queue.qsize() >= self.queue_limit:
                queue.get_nowait()
            queue.put_nowait(message)

    def finish(self) -> None:
        for queue in self.queues:
            queue.put_nowait(None)


_Link: TypeAlias = "asyncio.Future[tuple[str | None, _Link]]"


class PubSub(Pattern):
    """Fill the last future of a linked list and append an empty one; each client walks the list.

    No set of clients, no queues, one order; how far behind a client is, nothing can tell.
    """

    def __init__(self) -> None:
        self.last: _Link = asyncio.Future()

    def _publish(self, value: str | None) -> None:
        filled, self.last = self.last, asyncio.Future()
        filled.set_result((value, self.last))

    async def _subscribe(self) -> AsyncIterator[str]:
        link = self.last
        while True:
            # All clients wait for the same future: without the shield, cancelling one of them
            # would cancel that future, and with it every other client.
            value, link = await asyncio.shield(link)
            if value is None:
                return
            yield value

    async def serve(self, websocket: ServerConnection) -> None:
        async for message in self._subscribe():
            await websocket.send(message)

    async def broadcast(self, message: str) -> None:
        self._publish(message)

    def finish(self) -> None:
        self._publish(None)


class Driftline(Pattern):
    """Publish to a topic; each client iterates over the topic at its own pace, on its own terms.

    One link per message for all clients together; the lag of each can be read at any time. Without
    the terms, `serve` is ``async for message in subscription: await websocket.send(message)``.
    """

    patience = 30.0  # seconds that a client with on_lag="close" may take for one frame

    def __init__(self, limit: int | None = None) -> None:
        self.topic = Topic[str]("broadcast", limit=limit, sizeof=len)
        self.arrivals = 0

    async def serve(self, websocket: ServerConnection) -> None:
        self.arrivals += 1
        path, _, query = (websocket.request.path if websocket.request else "").partition("?")
        try:
            terms = Terms.of(query)
            subscription = self.topic.subscribe(
                name=_printable(unquote(path.strip("/"))) or f"client {self.arrivals}",
                max_lag=terms.max_lag,
                on_lag=terms.on_lag,
            )
        except ValueError as error:
            # A reason has room for 123 bytes.
            await websocket.close(1008, str(error).encode()[:123].decode(errors="ignore"))
            return
        joined = self.topic.published
        # Who reads nothing at all never comes to its next message, and never learns of its lag.
        patience = self.patience if terms.on_lag == "close" else None
        code = 1000  # normal closure
        try:
            code = await self._relay(subscription, terms.read, websocket, patience)
        finally:  # also if this is cancelled because the client asked to leave
            account = Account.of(subscription, joined)
            subscription.close()  # before waiting: for this client nothing is to be kept any more
            await _close(websocket, code, account, patience)

    async def broadcast(self, message: str) -> None:
        self.topic.publish(message)

    def finish(self) -> None:
        self.topic.close()

    def lags(self) -> list[tuple[str, int, float]]:
        return [
            (subscription.name or "?", subscription.lag, subscription.lag_seconds)
            for subscription in self.topic.subscriptions()
        ]

    async def _relay(
        self,
        subscription: Subscription[str],
        read: str,
        websocket: ServerConnection,
        patience: float | None,
    ) -> int:
        """Send what is published until its end, or until the client is too slow; return which."""
        frames: AsyncIterator[Any] = subscription
        if read == "latest":
            frames = subscription.latest()
        elif read == "batches":
            frames = subscription.batches(max_size=100)
        while True:
            try:
                async for frame in frames:
                    async with asyncio.timeout(patience):
                        await websocket.send("\n".join(frame) if read == "batches" else frame)
                return 1000
            except Lagged as lagged:
                await websocket.send(tell_missed(lagged.missed))
            except SlowConsumer:
                return 1013  # try again later
            except TimeoutError:
                websocket.transport.abort()
                return 1013


class FanOut(Driftline):
    """Publish to a topic, and have `driftline.websockets` write to all clients in one flat loop.

    What is published at once leaves in one write, framed once for all. A client that does not keep
    up is no longer in the loop, and catches up by itself, on its own terms.
    """

    async def _relay(
        self,
        subscription: Subscription[str],
        read: str,
        websocket: ServerConnection,
        patience: float | None,
    ) -> int:
        if read != "all":  # each of these gets frames of its own
            return await super()._relay(subscription, read, websocket, patience)
        tell = tell_missed if subscription.on_lag == "raise" else None
        ending = await relay(subscription, websocket, tell=tell, patience=self.patience)
        return 1013 if ending == "too slow" else 1000


async def _close(
    websocket: ServerConnection, code: int, account: Account, patience: float | None
) -> None:
    try:
        async with asyncio.timeout(patience):
            await websocket.close(code, account.write())
    except TimeoutError:
        websocket.transport.abort()


def _printable(name: str) -> str:
    # It will be printed on our terminal, and it comes from a stranger.
    return "".join(letter for letter in name if letter.isprintable())[:20]


PATTERNS: dict[str, type[Pattern]] = {
    "naive": Naive,
    "task": Task,
    "wait": Wait,
    "default": Default,
    "queue": Queue,
    "pubsub": PubSub,
    "driftline": Driftline,
    "fan-out": FanOut,
}
