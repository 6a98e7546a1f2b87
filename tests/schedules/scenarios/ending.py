"""Readers are cancelled, time out and are closed, and topics end in the middle of publishing."""

from __future__ import annotations

from driftline import Subscription, Topic
from driftline._core.invariants import check
from proof.law import Ledger, Published, Reader
from schedules.play import Cancel, Play, batch, give_up, message, receive


async def ending(play: Play) -> None:
    """One is cancelled, and another task goes on in its place; one is closed; the topic ends."""
    topic = Topic[Published]("topic")
    ledger = Ledger(topic)
    cancelled, closed, patient = (ledger.reader(name, topic.subscribe) for name in "abc")
    async with play.tasks() as start:
        start(play.read(patient, receive))
        start(play.read(closed, receive, give_up))
        start(close(play, closed))
        cancel = start(play.read(cancelled, receive, batch, message, give_up))
        start(play.publish(ledger, "p", most=4))
        await end(play, cancel)
        start(play.read(cancelled, receive))
        await play.pause()
        topic.close()
        play.trace.append("!")
    ledger.check()
    check(topic)


async def end(play: Play, cancel: Cancel) -> None:
    """Cancel a task at some moment."""
    await play.pause()
    await cancel()
    play.trace.append("x")


async def close(play: Play, reader: Reader[Subscription[Published]]) -> None:
    """Close a subscription at some moment, perhaps while its reader waits."""
    await play.pause()
    reader.leave()
    reader.subscription.close()
    play.trace.append("-")
