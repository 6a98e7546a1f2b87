"""Topics keep little, and readers are cut off while they read."""

from __future__ import annotations

from functools import partial

from driftline import Topic
from driftline._core.invariants import check
from driftline._core.tolerance import ON_LAG
from proof.law import Ledger, Published
from schedules.play import Play, batch, give_up, latest, message, receive, skip, take, wait


async def cutting(play: Play) -> None:
    """Two read slowly, each with an answer of its own to a loss."""
    lots = play.lots
    topic = Topic[Published]("topic", limit=lots.randrange(3) + 1)
    ledger = Ledger(topic)

    async def burst(publisher: str) -> None:
        for _ in range(lots.randrange(3)):
            ledger.publish(publisher)
        await play.publish(ledger, publisher)

    async with play.tasks() as start:
        for name in "ab":
            subscribe = partial(
                topic.subscribe, on_lag=lots.choice(ON_LAG), max_lag=lots.choice((None, 1))
            )
            reader = ledger.reader(name, subscribe)
            start(play.read(reader, wait, receive, take, batch, latest, message, skip, give_up))
        async with play.tasks() as publishing:
            publishing(burst("p"))
            await burst("q")
        topic.close()
    ledger.check()
    check(topic)
