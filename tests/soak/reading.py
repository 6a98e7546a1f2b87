"""Every way to read, in tasks and in threads, in the sight of a witness."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from driftline import Lagged, SlowConsumer, Subscription
from proof.law import LawBroken, Published

BATCH = 100
STEP = 50
WORK = 32
"""Messages after which a reader waits for something else, as most that do something with them."""


class Gets(Protocol):
    """A witness, or whoever else sees what a subscription gets."""

    subscription: Subscription[Any]

    def got(self, *values: Published) -> None:
        """See what was just read, in its order."""


async def one_by_one(witness: Gets) -> None:
    async for value in witness.subscription:
        witness.got(value)
        await something_else(witness)


async def in_batches(witness: Gets) -> None:
    async for values in witness.subscription.batches(BATCH):
        witness.got(*values)
        await anyio.lowlevel.checkpoint()


async def only_the_newest(witness: Gets) -> None:
    async for value in witness.subscription.latest():
        witness.got(value)


async def the_newest_of_each(witness: Gets) -> None:
    async for values in witness.subscription.latest_by(publisher_of):
        witness.got(*values.values())


async def with_numbers(witness: Gets) -> None:
    async for message in witness.subscription.messages():
        witness.got(message.value)
        if message.seq != message.value[1]:
            raise LawBroken(f"{message.value} has number {message.seq} in {message.topic!r}")
        await something_else(witness)


async def with_timeouts(witness: Gets) -> None:
    with suppress(anyio.EndOfStream):
        while True:
            with anyio.move_on_after(0.002):
                witness.got(await witness.subscription.receive())
            await something_else(witness)


async def something_else(witness: Gets) -> None:
    """Let others run, now and then."""
    if not witness.subscription.received % WORK:
        await anyio.lowlevel.checkpoint()


WAYS = (
    one_by_one,
    in_batches,
    only_the_newest,
    the_newest_of_each,
    with_numbers,
    with_timeouts,
)


async def read(witness: Gets, way: Callable[[Gets], Awaitable[None]]) -> None:
    """Read to the end of the topic, whatever is missed."""
    with suppress(SlowConsumer, anyio.BrokenResourceError):
        while True:
            try:
                return await way(witness)
            except Lagged:
                pass  # counted by the witness


def read_in_thread(witness: Gets, random: Random) -> None:
    """Read to the end of the topic, or until the subscription is closed."""
    way = random.choice((_one_by_one, _in_batches, _with_timeouts))
    with suppress(SlowConsumer, anyio.BrokenResourceError, anyio.ClosedResourceError):
        while True:
            try:
                return way(witness)
            except Lagged:
                pass


async def read_ready(witness: Gets) -> None:
    """Read what is there without waiting, but let others run."""
    stops = (anyio.WouldBlock, anyio.EndOfStream, anyio.BrokenResourceError, SlowConsumer)
    with suppress(*stops):
        while True:
            with suppress(Lagged):
                for _ in range(STEP):
                    witness.got(witness.subscription.receive_nowait())
            await anyio.lowlevel.checkpoint()


def publisher_of(value: Published) -> str:
    """Return what `latest_by` goes by."""
    return value[0]


def _one_by_one(witness: Gets) -> None:
    for value in witness.subscription:
        witness.got(value)


def _in_batches(witness: Gets) -> None:
    for values in witness.subscription.batches(BATCH):
        witness.got(*values)


def _with_timeouts(witness: Gets) -> None:
    with suppress(anyio.EndOfStream):
        while True:
            with suppress(TimeoutError):
                witness.got(witness.subscription.receive_blocking(0.002))
