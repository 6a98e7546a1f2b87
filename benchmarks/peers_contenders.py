"""What a user would pick instead of driftline, in one process, each as its documentation shows it.

A peer is entered before use, because some have tasks of their own. `publish` hands one value to
every reader, and is awaited, because most of theirs must be. `read` is the body of one reader task.
Where readers can fall behind, `stall` makes one that does not read: awaiting what it returns takes
the next value. Buffers are as they are without being asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from .contenders import (
    BATCHES,
    DOCUMENTED,
    DRIFTLINE,
    QUEUES,
    SETTINGS,
    STREAMS,
    AnyioStreams,
    AsyncioQueues,
    Contender,
    DocumentedList,
    Driftline,
    DriftlineBatches,
    Stallable,
)
from .loops import ASYNCIO
from .measure import present

TOPIC = "benchmark"

Receive = Callable[[Any], None]
Take = Callable[[], Awaitable[int]]


class Peer(Protocol):
    """A way to bring each value to every reader."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...

    async def publish(self, value: int, /) -> None:
        """Hand `value` to every reader."""

    def read(self, receive: Receive, /) -> Coroutine[Any, Any, None]:
        """Call `receive` with each value, until cancelled."""

    async def settle(self, readers: int, /) -> None:
        """Wait until as many readers have subscribed and wait."""


class Holding(Peer, Protocol):
    """A peer that keeps what a reader has not read yet in this process."""

    async def stall(self) -> Take:
        """Return a reader that does not read, from now on."""


class Entered:
    """What is ready as soon as it is made, and whose readers are ready a few turns later."""

    async def __aenter__(self) -> Self:
        self.stack = AsyncExitStack()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stack.aclose()

    async def settle(self, readers: int) -> None:
        await ASYNCIO.settle()


class Plain(Entered):
    """A contender whose `publish` is a plain function, awaited as those of the others are."""

    def __init__(self, contender: Contender[int]) -> None:
        self.hand_over = contender.publish
        self.read = contender.read

    async def publish(self, value: int) -> None:
        self.hand_over(value)


class PlainHolding(Plain):
    """The same, of which stalled readers can be made."""

    def __init__(self, contender: Stallable[int]) -> None:
        super().__init__(contender)
        self.contender = contender

    async def stall(self) -> Take:
        pending = self.contender.pending(self.contender.stall())

        async def take() -> int:
            for value in pending:
                return int(value)
            raise EOFError("nothing is pending")

        return take


class BroadcasterMemory(Entered):
    """broadcaster with its memory backend."""

    def __init__(self) -> None:
        from broadcaster import Broadcast

        self.broadcast = Broadcast("memory://")

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.stack.enter_async_context(self.broadcast)
        return self

    async def publish(self, value: int) -> None:
        await self.broadcast.publish(channel=TOPIC, message=value)

    async def read(self, receive: Receive) -> None:
        async with self.broadcast.subscribe(channel=TOPIC) as subscriber:
            events: Any = subscriber  # Its annotation says that there may be none.
            async for event in events:
                receive(event.message)

    async def stall(self) -> Take:
        subscriber = await self.stack.enter_async_context(self.broadcast.subscribe(channel=TOPIC))

        async def take() -> int:
            return int((await subscriber.get()).message)

        return take


class Aiopubsub(Entered):
    """A hub of aiopubsub, and one subscriber per reader."""

    def __init__(self) -> None:
        import aiopubsub

        self.key = aiopubsub.Key(TOPIC, "value")
        self.hub = aiopubsub.Hub()
        self.subscriber = aiopubsub.Subscriber
        self.publisher = aiopubsub.Publisher(self.hub, prefix=aiopubsub.Key(TOPIC))
        self.own_key = aiopubsub.Key("value")

    async def publish(self, value: int) -> None:
        self.publisher.publish(self.own_key, value)

    async def read(self, receive: Receive) -> None:
        subscriber = self.subscriber(self.hub, "reader")
        subscriber.subscribe(self.key)
        while True:
            _, value = await subscriber.consume()
            receive(value)

    async def stall(self) -> Take:
        subscriber = self.subscriber(self.hub, "reader")
        subscriber.subscribe(self.key)

        async def take() -> int:
            return int((await subscriber.consume())[1])

        return take


class Multisubscriber(Entered):
    """asyncio-multisubscriber-queue."""

    def __init__(self) -> None:
        from asyncio_multisubscriber_queue import MultisubscriberQueue

        self.queue: MultisubscriberQueue[int] = MultisubscriberQueue()

    async def publish(self, value: int) -> None:
        await self.queue.put(value)

    async def read(self, receive: Receive) -> None:
        with self.queue.queue() as queue:
            while True:
                receive(await queue.get())

    async def stall(self) -> Take:
        return self.stack.enter_context(self.queue.queue()).get


class LitestarMemory(Entered):
    """The channels of litestar with their memory backend."""

    def __init__(self) -> None:
        from litestar.channels import ChannelsPlugin
        from litestar.channels.backends.memory import MemoryChannelsBackend

        self.channels = ChannelsPlugin(backend=MemoryChannelsBackend(), channels=[TOPIC])

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.stack.enter_async_context(self.channels)
        return self

    async def publish(self, value: int) -> None:
        await self.channels.wait_published(value, TOPIC)

    async def read(self, receive: Receive) -> None:
        async with self.channels.start_subscription(TOPIC) as subscriber:
            async for event in subscriber.iter_events():
                receive(int(event))

    async def stall(self) -> Take:
        subscriber = await self.stack.enter_async_context(self.channels.start_subscription(TOPIC))
        events = subscriber.iter_events()

        async def take() -> int:
            return int(await anext(events))

        return take


class DjangoMemory(Entered):
    """The in-memory layer of Django channels, and one group."""

    def __init__(self) -> None:
        from channels.layers import InMemoryChannelLayer

        self.layer = InMemoryChannelLayer()

    async def publish(self, value: int) -> None:
        await self.layer.group_send(TOPIC, {"type": "benchmark.value", "value": value})

    async def read(self, receive: Receive) -> None:
        channel = await self.join()
        while True:
            receive((await self.layer.receive(channel))["value"])

    async def join(self) -> str:
        channel: str = await self.layer.new_channel()
        await self.layer.group_add(TOPIC, channel)
        return channel

    async def stall(self) -> Take:
        channel = await self.join()

        async def take() -> int:
            return int((await self.layer.receive(channel))["value"])

        return take


class ReactivexSubject(Entered):
    """A subject of reactivex, which calls its observers."""

    def __init__(self) -> None:
        from reactivex.subject import Subject

        self.subject: Subject[int] = Subject()

    async def publish(self, value: int) -> None:
        self.subject.on_next(value)

    async def read(self, receive: Receive) -> None:
        self.subject.subscribe(on_next=receive)
        await asyncio.Event().wait()


class BlinkerSignal(Entered):
    """A signal of blinker, which calls its receivers."""

    def __init__(self) -> None:
        from blinker import Signal

        self.signal = Signal()

    async def publish(self, value: int) -> None:
        self.signal.send(self, value=value)

    async def read(self, receive: Receive) -> None:
        def receiver(sender: object, value: int) -> None:
            receive(value)

        self.signal.connect(receiver)
        await asyncio.Event().wait()


class CulsansQueues(Entered):
    """One queue of culsans per client."""

    def __init__(self) -> None:
        import culsans

        self.make = culsans.Queue[int]
        self.clients: list[culsans.AsyncQueue[int]] = []

    async def publish(self, value: int) -> None:
        for client in self.clients:
            client.put_nowait(value)

    async def read(self, receive: Receive) -> None:
        take = await self.stall()
        while True:
            receive(await take())

    async def stall(self) -> Take:
        client = self.make().async_q
        self.clients.append(client)
        return client.get


@dataclass(frozen=True)
class Entry:
    """One peer of the tables.

    Args:
        make: Makes it, inside a running loop.
        distribution: What must be installed beside what driftline needs, if anything.
        setting: How it is set up.
        lacks: In a few words, what it does not give that driftline does.
        keeps: How many messages a stalled reader has at most; the newer ones it never gets.
        most: With how many readers it is measured at most, by the way of publishing.
        why: The reason of `most`.
        here: Whether what it needs beside Python is there.
    """

    make: Callable[[], Peer]
    distribution: str
    setting: str
    lacks: str = ""
    keeps: int | None = None
    most: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    here: bool = True

    @property
    def available(self) -> bool:
        """Return whether it can be measured."""
        return self.here and (not self.distribution or present(self.distribution))

    def measured(self, mode: str, readers: int) -> bool:
        """Return whether this is measured, where it is available."""
        return readers <= self.most.get(mode, readers)


BROADCASTER = "broadcaster, memory"
AIOPUBSUB = "aiopubsub"
MULTISUBSCRIBER = "asyncio-multisubscriber-queue"
LITESTAR = "litestar.channels, memory"
DJANGO = "Django channels, in memory"
REACTIVEX = "reactivex Subject"
BLINKER = "blinker signal"
CULSANS = "culsans.Queue per client"

PEERS = {
    DRIFTLINE: Entry(lambda: PlainHolding(Driftline()), "", SETTINGS[DRIFTLINE]),
    BATCHES: Entry(
        lambda: PlainHolding(DriftlineBatches()),
        "",
        SETTINGS[BATCHES],
        most={"single": 0},
        why="one message makes no batch",
    ),
    QUEUES: Entry(
        lambda: PlainHolding(AsyncioQueues()),
        "",
        SETTINGS[QUEUES],
        lacks="unbounded, one loop only",
    ),
    STREAMS: Entry(
        lambda: PlainHolding(AnyioStreams()),
        "",
        SETTINGS[STREAMS],
        lacks="unbounded, one loop only",
    ),
    DOCUMENTED: Entry(
        lambda: PlainHolding(DocumentedList()),
        "",
        SETTINGS[DOCUMENTED],
        lacks="one cancelled reader ends all, unbounded, one loop only, no lag",
    ),
    BROADCASTER: Entry(
        BroadcasterMemory,
        "broadcaster",
        '`Broadcast("memory://")`, `await broadcast.publish()`, `async for event in subscriber`',
        lacks="unbounded, one loop only, no lag",
    ),
    AIOPUBSUB: Entry(
        Aiopubsub,
        "aiopubsub",
        "one `Subscriber` per reader, `publisher.publish()`, `await subscriber.consume()`",
        lacks="unbounded, one loop only",
    ),
    MULTISUBSCRIBER: Entry(
        Multisubscriber,
        "asyncio-multisubscriber-queue",
        "`await multisubscriber.put()`, `with multisubscriber.queue() as queue`, "
        "`await queue.get()`",
        lacks="unbounded, one loop only",
    ),
    LITESTAR: Entry(
        LitestarMemory,
        "litestar",
        "`MemoryChannelsBackend()`, no `subscriber_max_backlog`, "
        "`await channels.wait_published()`, `subscriber.iter_events()`; "
        "it carries JSON, of which the reader makes the value again",
        lacks="unbounded, or silent loss; one loop only, bytes only",
    ),
    DJANGO: Entry(
        DjangoMemory,
        "channels",
        "`InMemoryChannelLayer()` with its capacity of 100, one group, `await layer.group_send()`, "
        "`await layer.receive()`; its documentation advises against it in production",
        lacks="silent loss at 100, one loop only, no lag",
        keeps=100,
        most={"single": 1000, "burst": 100},
        why="each receive() looks at all readers, so a burst takes a minute with 1,000, "
        "and one message takes minutes with 10,000",
    ),
    CULSANS: Entry(
        CulsansQueues,
        "culsans",
        "unbounded, `async_q.put_nowait` in a loop over a list, `await async_q.get()`",
    ),
    REACTIVEX: Entry(
        ReactivexSubject,
        "reactivex",
        "`Subject()`, `subject.on_next()` calls every observer",
        lacks="callbacks: no task, no queue, the publisher waits for the slowest",
    ),
    BLINKER: Entry(
        BlinkerSignal,
        "blinker",
        "`Signal()`, `signal.send()` calls every receiver",
        lacks="callbacks: no task, no queue, the publisher waits for the slowest",
    ),
}
"""The first is what all are compared with."""
