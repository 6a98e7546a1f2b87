"""Readers that count.

Timing only the publishing side makes a bus that drops messages look fast. So each reader folds
every value into a checksum that depends on the order, a shared countdown says when the last reader
has the last message, and nobody's time is believed before all checksums are right.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from .contenders import Contender
from .loops import Loop

PATIENCE = 20.0
"""Seconds without one delivery after which the missing ones are taken for lost."""


class Miscount(Exception):
    """What was received is not what was published."""


def checksum(values: Iterable[int]) -> int:
    """Return what a reader of exactly these values, in this order, ends up with."""
    total = 0
    for value in values:
        total = (total * 31 + value + 1) & 0xFFFFFFFF
    return total


class Audience:
    """All readers of one contender, and the publisher who waits for them."""

    def __init__(self, loop: Loop, contender: Contender[int], size: int) -> None:
        self.size = size
        self.publish = contender.publish
        self.published = 0
        self.remaining = 0
        self.done = loop.event()
        self.loop = loop
        self.checksums: list[Callable[[], int]] = []

    def reader(self) -> Callable[[int], None]:
        """Return what one reader does with each value: the same for every contender.

        A closure, because this runs inside the measured time and is the cheapest there is.
        """
        total = 0

        def receive(value: int) -> None:
            nonlocal total
            total = (total * 31 + value + 1) & 0xFFFFFFFF
            self.remaining -= 1
            if not self.remaining:
                self.done.set()

        self.checksums.append(lambda: total)
        return receive

    def expect(self, messages: int) -> range:
        """Begin a round and return the values to publish in it."""
        self.remaining = self.size * messages
        self.done = self.loop.event()
        if not self.remaining:
            self.done.set()
        self.published += messages
        return range(self.published - messages, self.published)

    async def received(self) -> None:
        """Wait until every reader has received the whole round and waits again."""
        await self.done.wait()
        await self.loop.checkpoint()  # Some readers yield once more before they wait again.

    async def deliver(self, messages: int) -> None:
        """Publish `messages` in a row and wait until all are delivered."""
        publish = self.publish
        for value in self.expect(messages):
            publish(value)
        await self.received()

    def verify(self) -> None:
        """Raise `Miscount` unless every reader has received every message, in order, once."""
        expected = checksum(range(self.published))
        wrong = sum(total() != expected for total in self.checksums)
        if wrong or self.remaining:
            raise Miscount(
                f"{wrong} of {self.size} readers did not receive exactly the {self.published} "
                f"messages published; {self.remaining} deliveries are open"
            )

    async def watch(self) -> None:
        """Turn a lost message into an error, where the countdown alone would wait for ever."""
        before = None
        while True:
            now = (self.published, self.remaining)
            if self.remaining > 0 and now == before:
                self.verify()
            before = now
            await anyio.sleep(PATIENCE)


@asynccontextmanager
async def audience(loop: Loop, contender: Contender[Any], size: int) -> AsyncIterator[Audience]:
    """Start `size` readers, all waiting; at the end check what they received and cancel them."""
    readers = Audience(loop, contender, size)
    async with anyio.create_task_group() as tasks:
        for _ in range(size):
            tasks.start_soon(contender.read, readers.reader())
        tasks.start_soon(readers.watch)
        await loop.settle()
        yield readers
        readers.verify()
        tasks.cancel_scope.cancel()
