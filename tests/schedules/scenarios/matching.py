"""Patterns of a bus: topics begin and end while streams are read that have them all."""

from __future__ import annotations

from driftline import Bus
from driftline._core.invariants import check
from proof.law import Ledger, Published
from schedules.play import Play, batch, give_up, receive, take


class ByPublisher:
    """Publishes on a bus, with a topic for each publisher."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def publish(self, value: Published) -> None:
        self.bus.publish(f"topic.{value[0]}", value)


async def matching(play: Play) -> None:
    """One reads all topics, one begins late, and one reads a single topic; then the bus ends."""
    bus = Bus()
    ledger = Ledger(ByPublisher(bus))
    whole = ledger.reader("a", lambda: bus.subscribe("topic.*", "other"))
    single = ledger.reader("b", lambda: bus.subscribe("topic.q"), lambda value: value[0] == "q")

    async def begin_late() -> None:
        await play.pause()
        if not bus.closed:
            late = ledger.reader("c", lambda: bus.subscribe(play.lots.choice((">", "topic.*"))))
            await play.read(late, receive, take, batch)

    async with play.tasks() as start:
        start(play.read(whole, receive, take, batch, give_up))
        start(play.read(single, receive, give_up))
        start(begin_late())
        async with play.tasks() as publishing:
            publishing(play.publish(ledger, "p"))
            await play.publish(ledger, "q")
        bus.close()
    ledger.check()
    for topic in bus._joint.live():
        check(topic)
