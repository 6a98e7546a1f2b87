"""Readers leave and come back, by the text of their position."""

from __future__ import annotations

import anyio

from driftline import PositionLost, Subscription, Topic
from driftline._core.invariants import check
from proof.law import Ledger, Published, Reader
from schedules.play import Play, batch, receive, take

LONG = 3600.0  # seconds; this time is not virtual, and nobody waits for it


async def returning(play: Play) -> None:
    """One stays; one leaves, with its place parked or not, and comes back where it was."""
    lots = play.lots
    topic = Topic[Published]("topic", limit=lots.choice((None, 2)), replay=lots.choice((0, 1, 2)))
    ledger = Ledger(topic)
    steady, restless = (ledger.reader(name, topic.subscribe) for name in "ab")

    async def come_and_go() -> None:
        reader = restless
        for _ in range(lots.randrange(2) + 1):
            with anyio.move_on_after(1):
                await play.read(reader, receive, take)
            if reader.subscription.closed:
                return
            reader = await leave_and_return(play, ledger, reader)
        await play.read(reader, receive, batch)

    async with play.tasks() as start:
        start(play.read(steady, receive))
        start(come_and_go())
        await play.publish(ledger, "p", most=4)
        await play.publish(ledger, "q")
        topic.close()
    ledger.check()
    check(topic)


async def leave_and_return(
    play: Play, ledger: Ledger, reader: Reader[Subscription[Published]]
) -> Reader[Subscription[Published]]:
    """Give up a subscription; return another that goes on there, or here if that cannot be."""
    subscription = reader.subscription
    topic = subscription.topic
    assert isinstance(topic, Topic)
    parks = play.lots.random() < 0.5
    reader.leave()
    if parks:
        position = subscription.park(LONG)
    else:
        position = subscription.position
        subscription.close()
    play.trace.append("-")
    await play.pause()
    try:
        return ledger.heir(reader.name, reader, lambda: topic.subscribe(since=str(position)))
    except PositionLost:
        assert not parks or topic.limit is not None
        return ledger.reader(reader.name, topic.subscribe)
