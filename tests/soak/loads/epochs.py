"""Topics that live a few seconds, and are held to the whole law when they have ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock, Semaphore
from typing import Any

import anyio

from driftline import Bus, Subscription
from proof.law import LawBroken, Ledger, Published, Reader
from soak.load import LOOPS, Load, Start
from soak.part import Part
from soak.reading import (
    in_batches,
    one_by_one,
    only_the_newest,
    read,
    read_in_thread,
    with_timeouts,
)

PUBLISHERS = ("ada", "bob", "eve")
MESSAGES = 300
PATIENCE = 30.0
WAYS = (one_by_one, in_batches, only_the_newest, with_timeouts)


class BesideOthers(Ledger):
    """A ledger of one topic, while others are published on of which it does not know."""

    def _before(self, value: Published, reader: Reader[Any]) -> bool:
        # Whoever publishes on any topic of the bus may be about to link this message.
        return False


class Record:
    """Writes down what one subscription gets, in the ledger."""

    def __init__(self, reader: Reader[Subscription[Any]]) -> None:
        self.reader = reader
        self.subscription = reader.subscription

    def got(self, *values: Published) -> None:
        before = self.subscription.position.seq - len(values)
        for seq, value in enumerate(values, before + 1):
            self.reader.got(value, seq)


class Epoch:
    """One topic, from its first message to the verdict."""

    def __init__(self, bus: Bus, number: int) -> None:
        self.bus = bus
        self.topic = bus.topic(f"epoch.{number}")
        self.ledger = BesideOthers(self.topic)
        self.over = False
        self._lock = Lock()
        self._readers = 0
        self._left = Semaphore(0)

    def join(self, part: Part, *, pattern: bool = False) -> Record | None:
        """Subscribe, unless it is over; then whoever joins must leave."""

        def subscribe() -> Subscription[Any]:
            if pattern:
                return part.bus.subscribe("epoch.*", on_lag=part.random.choice(("raise", "skip")))
            return self.topic.subscribe(on_lag=part.random.choice(("raise", "skip", "latest")))

        with self._lock:
            if self.over:
                return None
            self._readers += 1
            part.counts["joins"] += 1
            return Record(self.ledger.reader(f"{self._readers} on {part.where}", subscribe))

    def leave(self, part: Part, record: Record) -> None:
        part.counts["leaves"] += 1
        part.counts["delivered"] += record.subscription.received
        part.counts["missed"] += record.subscription.missed
        part.counts["skipped"] += record.subscription.skipped
        self._left.release()

    def end(self) -> None:
        """Close the topic, wait until all have read to its end, and check the law."""
        with self._lock:
            self.over = True
            self.topic.close()
        for _ in range(self._readers):
            if not self._left.acquire(timeout=PATIENCE):
                raise LawBroken(f"{self.topic.name!r} was closed, and a reader waits for its end")
        self.ledger.check()

    def all_told(self, record: Record) -> bool:
        """Whether a reader of a pattern, which has no end, has come to that of the topic."""
        if not self.over:
            return False
        try:
            self.topic.subscribe().receive_nowait()
        except anyio.EndOfStream:
            return record.subscription.lag == 0
        except anyio.WouldBlock:  # another publisher is about to link the end
            return False
        return False


class Epochs:
    """The epoch that is under way, for those who look for one."""

    def __init__(self) -> None:
        self.current: Epoch | None = None

    def conduct(self, part: Part) -> None:
        """Have one epoch after another."""
        for number in count():
            if part.stopping.is_set():
                return
            self.current = epoch = Epoch(part.bus, number)
            part.pause(0.05, 0.1)
            with ThreadPoolExecutor(len(PUBLISHERS)) as pool:
                list(pool.map(lambda name, epoch=epoch: publish(part, epoch, name), PUBLISHERS))
            epoch.end()
            part.counts["published"] += len(epoch.ledger.accepted)
            part.counts["epochs"] += 1

    async def take_part(self, part: Part) -> None:
        """Read what is left of each epoch, sometimes leaving early."""
        while True:
            await anyio.sleep(part.random.uniform(0, 0.1))
            epoch = self.current
            record = None if epoch is None else epoch.join(part)
            if epoch is None or record is None:
                continue
            early = part.random.random() < 0.3
            try:
                record.reader.left = True  # if the end of the run comes first
                with anyio.move_on_after(part.random.uniform(0, 1) if early else PATIENCE) as scope:
                    await read(record, part.random.choice(WAYS))
                record.reader.left = scope.cancelled_caught
                part.counts["cancels"] += scope.cancelled_caught
            finally:
                epoch.leave(part, record)

    async def take_part_by_pattern(self, part: Part) -> None:
        """Read all epochs there are through one stream, and leave it at the end of each."""
        while True:
            await anyio.sleep(0.02)
            epoch = self.current
            record = None if epoch is None else epoch.join(part, pattern=True)
            if epoch is None or record is None:
                continue
            record.reader.left = True
            try:
                while not epoch.all_told(record):
                    with anyio.move_on_after(0.02):
                        await read(record, one_by_one)
            finally:
                epoch.leave(part, record)

    def take_part_in_thread(self, part: Part) -> None:
        """Read what is left of each epoch to its end, blocking."""
        while not part.stopping.is_set():
            part.pause(0, 0.1)
            epoch = self.current
            record = None if epoch is None else epoch.join(part)
            if epoch is None or record is None:
                continue
            try:
                read_in_thread(record, part.random)
            finally:
                epoch.leave(part, record)


def publish(part: Part, epoch: Epoch, name: str) -> None:
    for number in range(MESSAGES):
        epoch.ledger.publish(name)
        if number % 30 == 0:
            part.stopping.wait(0.05)


def run(start: Start) -> None:
    epochs = Epochs()
    start.thread(epochs.conduct)
    start.thread(epochs.take_part_in_thread)
    for loop in LOOPS:
        start.task(loop, epochs.take_part)
        start.task(loop, epochs.take_part_by_pattern)


EPOCHS = Load("epochs", run)
