"""Publishing in callbacks of weak references, each of which runs within the publish before it."""

from __future__ import annotations

from threading import Event
from weakref import ref

from driftline import Bus
from reentry.stage import Stage, Tick

DEEP = 10_000


class Payload:
    """Nobody reads it, so it is freed in the middle of being published."""


def callbacks(messages: int, tick: Tick) -> None:
    """Publish in chains of ten thousand callbacks."""
    bus = Bus()  # whose topics have one turn, so that all happens within the first publish
    unread = bus.topic("unread")
    left = 0
    ended = Event()
    references: list[ref[Payload]] = []

    def publish(_: object = None) -> None:
        nonlocal left
        if not left:
            ended.set()
            return
        left -= 1
        payload = Payload()
        references.append(ref(payload, publish))
        stage.publish("callback")
        unread.publish(payload)

    with Stage("callback", topic=bus.topic("read")) as stage:
        for begin in range(0, messages, DEEP):
            left = min(DEEP, messages - begin)
            publish()
            ended.wait()  # the thread that reads may have the turn, and do all this in it
            ended.clear()
            references.clear()
            tick(begin)
            stage.keep_pace()
