"""Readers read in every way there is, and fork."""

from __future__ import annotations

from driftline import Subscription, Topic
from driftline._core.invariants import check
from proof.law import Ledger, Published, Reader
from schedules.play import (
    Play,
    Start,
    batch,
    give_up,
    latest,
    message,
    receive,
    skip,
    take,
)

WAYS = (receive, take, batch, latest, message, skip, give_up)


async def reading(play: Play) -> None:
    """One waits for each message, one reads in all ways, and may fork."""
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    patient, other = (ledger.reader(name, topic.subscribe) for name in "ab")
    async with play.tasks() as start:
        start(play.read(patient, receive))
        start(play.read(other, *WAYS))
        start(fork(play, ledger, other, start))
        async with play.tasks() as publishing:
            publishing(play.publish(ledger, "p"))
            await play.publish(ledger, "q")
        topic.close()
    ledger.check()
    check(topic)


async def fork(
    play: Play, ledger: Ledger, reader: Reader[Subscription[Published]], start: Start
) -> None:
    """Have another go on from where this reader is, at some moment."""
    await play.pause()
    start(play.read(ledger.heir("c", reader, reader.subscription.fork), *WAYS))
