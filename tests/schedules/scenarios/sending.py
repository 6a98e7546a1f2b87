"""Publishers wait for readers, and give up waiting."""

from __future__ import annotations

from contextlib import suppress

import anyio

from driftline import Topic
from driftline._core.invariants import check
from proof.law import Ledger, Published
from schedules.play import Play, batch, give_up, receive, wait


async def sending(play: Play) -> None:
    """Two send, of which one may be cancelled or out of time; two read, and miss nothing."""
    lots = play.lots
    topic = Topic[Published]("topic", limit=lots.randrange(2) + 1)
    ledger = Ledger(topic)
    readers = [ledger.reader(name, topic.subscribe) for name in "ab"]

    async def send(publisher: str) -> None:
        for _ in range(lots.randrange(2) + 1):
            with suppress(TimeoutError), ledger.publishing(publisher) as value:
                if lots.random() < 0.5:
                    await topic.send(value)
                else:
                    with anyio.fail_after(lots.randrange(2)):
                        await topic.send(value)
            play.trace.append(publisher)

    async with play.tasks() as start:
        start(play.read(readers[0], receive, batch))
        start(play.read(readers[1], receive, give_up, wait))
        async with play.tasks() as publishing:
            publishing(send("p"))
            cancel = publishing(send("q"))
            if lots.random() < 0.5:
                await play.pause()
                await cancel()
        topic.close()
    ledger.check()
    check(topic)
    assert all(reader.subscription.missed == 0 for reader in readers)
    assert not topic._senders.queue
