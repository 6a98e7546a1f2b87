"""driftline and its rivals, each written the way its own documentation shows.

A contender is made inside a running loop. `read` is the body of one reader task; what the reader
does with a value is the same function for all, mostly `list.append`. `publish` hands one value to
every reader. Buffers are unbounded unless a capacity is asked for, so that nobody is slowed down by
a limit and nobody loses anything.
"""

import asyncio
import math
import queue
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import anyio
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from driftline import Subscription, Topic

from .loops import TRIO, Loop

T = TypeVar("T")
ContraT = TypeVar("ContraT", contravariant=True)


class Contender(Protocol[ContraT]):
    """A way to bring each value to every reader."""

    def publish(self, value: ContraT, /) -> None:
        """Hand `value` to every reader."""

    async def read(self, receive: Callable[[Any], None], /) -> None:
        """Call `receive` with each value, until cancelled."""


class Listenable(Contender[ContraT], Protocol[ContraT]):
    """A contender whose readers can also do something in between that waits."""

    def listen(self) -> AsyncGenerator[Any, None]:
        """Return what one reader takes values from, one at a time, until cancelled."""


class Stallable(Contender[ContraT], Protocol[ContraT]):
    """A contender whose readers can also fall behind without a task, to weigh what they hold."""

    def stall(self) -> Any:
        """Return a reader that does not read, from now on."""

    def pending(self, reader: Any, /) -> Iterator[Any]:
        """Take out what `reader` has not read yet, without waiting."""

    def leave(self, reader: Any, /) -> None:
        """Forget `reader`, where somebody keeps a list of clients."""


class Driftline(Generic[T]):
    """One topic, and one subscription per reader."""

    def __init__(self, sizeof: Callable[[T], int] | None = None) -> None:
        self.topic = Topic[T]("benchmark", sizeof=sizeof)
        self.publish = self.topic.publish

    async def read(self, receive: Callable[[T], None]) -> None:
        async for value in self.topic.subscribe():
            receive(value)

    async def listen(self) -> AsyncGenerator[T, None]:
        async for value in self.topic.subscribe():
            yield value

    def read_blocking(self, receive: Callable[[T], None], messages: int) -> None:
        for value in islice(self.topic.subscribe(), messages):
            receive(value)

    def stall(self) -> Subscription[T]:
        return self.topic.subscribe()

    def pending(self, reader: Subscription[T]) -> Iterator[T]:
        while True:
            try:
                yield reader.receive_nowait()
            except anyio.WouldBlock:
                return

    def leave(self, reader: Subscription[T]) -> None:
        pass


class DriftlineBatches(Driftline[T]):
    """The same, with readers that take all that is ready at once."""

    async def read(self, receive: Callable[[T], None]) -> None:
        async for batch in self.topic.subscribe().batches():
            for value in batch:
                receive(value)


class AsyncioQueues(Generic[T]):
    """One `asyncio.Queue` per client: the "Per-client queues" of the websockets documentation."""

    def __init__(self, capacity: int = 0) -> None:
        self.capacity = capacity
        self.clients: list[asyncio.Queue[T]] = []

    def stall(self) -> asyncio.Queue[T]:
        client: asyncio.Queue[T] = asyncio.Queue(self.capacity)
        self.clients.append(client)
        return client

    def publish(self, value: T) -> None:
        for client in self.clients:
            client.put_nowait(value)

    async def read(self, receive: Callable[[T], None]) -> None:
        client = self.stall()
        while True:
            receive(await client.get())

    async def listen(self) -> AsyncGenerator[T, None]:
        client = self.stall()
        while True:
            yield await client.get()

    def pending(self, reader: asyncio.Queue[T]) -> Iterator[T]:
        while not reader.empty():
            yield reader.get_nowait()

    def leave(self, reader: asyncio.Queue[T]) -> None:
        self.clients.remove(reader)


class AsyncioQueuesFromThread(AsyncioQueues[T]):
    """The same queues, filled from another thread as the asyncio documentation asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()

    def publish(self, value: T) -> None:
        for client in self.clients:
            self.loop.call_soon_threadsafe(client.put_nowait, value)


Ends = tuple[MemoryObjectSendStream[T], MemoryObjectReceiveStream[T]]


class AnyioStreams(Generic[T]):
    """One anyio memory object stream per client."""

    def __init__(self, capacity: float = math.inf) -> None:
        self.capacity = capacity
        self.clients: list[MemoryObjectSendStream[T]] = []

    def stall(self) -> Ends[T]:
        client, stream = anyio.create_memory_object_stream[T](self.capacity)
        self.clients.append(client)
        return client, stream

    def publish(self, value: T) -> None:
        for client in self.clients:
            client.send_nowait(value)

    async def read(self, receive: Callable[[T], None]) -> None:
        client, stream = self.stall()
        try:
            with client, stream:
                async for value in stream:
                    receive(value)
        finally:
            self.clients.remove(client)  # Sending to a closed one raises.

    def pending(self, reader: Ends[T]) -> Iterator[T]:
        while True:
            try:
                yield reader[1].receive_nowait()
            except anyio.WouldBlock:
                return

    def leave(self, reader: Ends[T]) -> None:
        self.clients.remove(reader[0])

    async def listen(self) -> AsyncGenerator[T, None]:
        client, stream = self.stall()
        with client, stream:
            async for value in stream:
                yield value


class TrioChannels(Generic[T]):
    """One trio memory channel per client."""

    def __init__(self, capacity: float = math.inf) -> None:
        self.capacity = capacity
        self.clients: list[trio.MemorySendChannel[T]] = []

    def publish(self, value: T) -> None:
        for client in self.clients:
            client.send_nowait(value)

    async def read(self, receive: Callable[[T], None]) -> None:
        client, channel = trio.open_memory_channel[T](self.capacity)
        self.clients.append(client)
        with client, channel:
            async for value in channel:
                receive(value)

    async def listen(self) -> AsyncGenerator[T, None]:
        client, channel = trio.open_memory_channel[T](self.capacity)
        self.clients.append(client)
        with client, channel:
            async for value in channel:
                yield value


class TrioChannelsFromThread(TrioChannels[T]):
    """The same channels, filled from another thread without waiting for trio to take the value."""

    def __init__(self) -> None:
        super().__init__()
        self.token = trio.lowlevel.current_trio_token()

    def publish(self, value: T) -> None:
        for client in self.clients:
            self.token.run_sync_soon(client.send_nowait, value)


class DocumentedList(Generic[T]):
    """The linked list of futures that driftline grew from.

    `__init__`, `publish` and `subscribe` are the `PubSub` class of "Broadcasting messages" in the
    websockets documentation, by Aymeric Augustin:
    https://websockets.readthedocs.io/en/stable/topics/broadcast.html
    """

    def __init__(self) -> None:
        self.waiter: asyncio.Future[Any] = asyncio.Future()

    def publish(self, value: T) -> None:
        waiter, self.waiter = self.waiter, asyncio.Future()
        waiter.set_result((value, self.waiter))

    async def subscribe(self) -> AsyncGenerator[T, None]:
        waiter = self.waiter
        while True:
            value, waiter = await waiter
            yield value

    __aiter__ = listen = subscribe

    async def read(self, receive: Callable[[T], None]) -> None:
        async for value in self:
            receive(value)

    def stall(self) -> "asyncio.Future[Any]":
        return self.waiter

    def pending(self, reader: "asyncio.Future[Any]") -> Iterator[T]:
        while reader.done():
            value, reader = reader.result()
            yield value

    def leave(self, reader: "asyncio.Future[Any]") -> None:
        pass


class BlockingQueue(Generic[T]):
    """A `queue.Queue` to one reader in a thread."""

    def __init__(self) -> None:
        self.client: queue.Queue[T] = queue.Queue()
        self.publish = self.client.put

    def read_blocking(self, receive: Callable[[T], None], messages: int) -> None:
        for _ in range(messages):
            receive(self.client.get())


class TaskSwitches(Generic[T]):
    """The floor: each task takes the next value from a list and lets the others run.

    No message bus can wake one task per delivery for less than the loop asks for switching tasks.
    """

    def __init__(self, loop: Loop) -> None:
        self.checkpoint = loop.checkpoint
        self.values: list[T] = []

    def publish(self, value: T) -> None:
        self.values.append(value)

    async def read(self, receive: Callable[[T], None]) -> None:
        while not self.values:
            await self.checkpoint()
        for value in self.values:
            await self.checkpoint()
            receive(value)


Contenders = dict[str, Callable[[], Contender[int]]]

DRIFTLINE = "driftline"
BATCHES = "driftline, batches"
QUEUES = "asyncio.Queue per client"
STREAMS = "anyio memory stream per client"
CHANNELS = "trio memory channel per client"
DOCUMENTED = "documented list of futures"

SETTINGS = {
    DRIFTLINE: "one topic without limits, `async for value in topic.subscribe()`",
    BATCHES: "the same, `async for batch in subscription.batches()`, then each message",
    QUEUES: "unbounded, `put_nowait` in a loop over a list, `await queue.get()`",
    STREAMS: "`max_buffer_size=math.inf`, `send_nowait` in a loop over a list, `async for`",
    CHANNELS: "`max_buffer_size=math.inf`, `send_nowait` in a loop over a list, `async for`",
    DOCUMENTED: "`PubSub` of the websockets documentation, unsafe when cancelled, `async for`",
}


def contenders_on(loop: Loop, readers: int = 0) -> Contenders:
    """Return those that run on `loop`; the first is what the others are compared with.

    With more than a thousand readers anyio's streams would take longer than all others together.
    """
    streams: Contenders = {STREAMS: AnyioStreams} if readers <= 1000 else {}
    if loop is TRIO:
        return {CHANNELS: TrioChannels, **streams, DRIFTLINE: Driftline}
    return {QUEUES: AsyncioQueues, **streams, DOCUMENTED: DocumentedList, DRIFTLINE: Driftline}


def settings_of(names: Iterable[str]) -> list[str]:
    """Say how each contender is set up."""
    return [f"{name}: {SETTINGS[name]}" for name in names]
