"""Readers whose every message is checked.

Timing only the publishing side makes a bus that drops messages look fast. So each reader keeps a
list of what it received, the publisher looks at the shortest list to see whether the last reader
has the last message, and nobody's time is believed before all lists are exactly what was published.

Whatever the reader does with a message dilutes the comparison. So it is one call of `list.append`,
which is not even Python code, and the rest is done by the publisher, once for all readers.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio

from driftline import Subscription
from proof.law import miscounts

from .contenders import Contender
from .loops import Loop

PATIENCE = 20.0
"""Seconds without one delivery after which the missing ones are taken for lost."""


class Miscount(Exception):
    """What was received is not what was published."""


def check_counts(subscription: Subscription[Any], got: int) -> None:
    """Raise `Miscount` if the counters of a subscription break the law.

    Args:
        subscription: Of a topic on which nothing had been published yet.
        got: How many messages came from it.
    """
    for complaint in miscounts(subscription, 0, got):
        raise Miscount(complaint)


class Readers:
    """What every reader has received, and how a publisher waits for them."""

    def __init__(self, loop: Loop, size: int) -> None:
        self.published = 0
        self.checkpoint = loop.checkpoint
        self.lists: list[list[int]] = [[] for _ in range(size)]

    def expect(self, messages: int) -> range:
        """Begin a round and return the values to publish in it."""
        self.published += messages
        return range(self.published - messages, self.published)

    def complete(self) -> bool:
        """Return whether every reader has received as many messages as were published."""
        # Mostly the first or the last reader tells, without a look at all the others.
        return not self.lists or (
            len(self.lists[0]) >= self.published <= len(self.lists[-1])
            and self.published <= min(map(len, self.lists))
        )

    async def received(self) -> None:
        """Wait until every reader has received the whole round and waits again."""
        while not self.complete():
            await self.checkpoint()
        await self.checkpoint()  # Some readers yield once more before they wait again.

    def verify(self) -> None:
        """Raise `Miscount` unless every reader has received every message, in order, once."""
        expected = list(range(self.published))
        wrong = sum(values != expected for values in self.lists)
        if wrong:
            raise Miscount(
                f"{wrong} of {len(self.lists)} readers did not receive exactly the "
                f"{self.published} messages published"
            )

    async def watch(self) -> None:
        """Turn a lost message into an error, where the publisher alone would wait for ever."""
        before = None
        while True:
            now = (self.published, sum(map(len, self.lists)))
            if now == before and not self.complete():
                self.verify()
            before = now
            await anyio.sleep(PATIENCE)


class Audience(Readers):
    """All readers of one contender, and the publisher who waits for them."""

    def __init__(self, loop: Loop, contender: Contender[int], size: int) -> None:
        super().__init__(loop, size)
        self.publish = contender.publish

    async def deliver(self, messages: int) -> None:
        """Publish `messages` in a row and wait until all are delivered."""
        publish = self.publish
        for value in self.expect(messages):
            publish(value)
        await self.received()


class AwaitedAudience(Readers):
    """The same, and a publisher who must await each publish."""

    def __init__(self, loop: Loop, publish: Callable[[int], Awaitable[None]], size: int) -> None:
        super().__init__(loop, size)
        self.publish = publish

    async def deliver(self, messages: int) -> None:
        """Publish `messages` in a row and wait until all are delivered."""
        publish = self.publish
        for value in self.expect(messages):
            await publish(value)
        await self.received()


@asynccontextmanager
async def reading(
    loop: Loop,
    readers: Readers,
    read: Callable[[Callable[[Any], None]], Coroutine[Any, Any, None]],
    settle: Callable[[], Awaitable[None]],
) -> AsyncIterator[None]:
    """Start all readers and `settle`; at the end check what they received and cancel them."""
    async with loop.tasks() as start:
        for values in readers.lists:
            start(read, values.append)
        start(readers.watch)
        await settle()
        yield
        readers.verify()


@asynccontextmanager
async def audience(loop: Loop, contender: Contender[Any], size: int) -> AsyncIterator[Audience]:
    """Start `size` readers, all waiting; at the end check what they received and cancel them."""
    readers = Audience(loop, contender, size)
    async with reading(loop, readers, contender.read, loop.settle):
        yield readers
