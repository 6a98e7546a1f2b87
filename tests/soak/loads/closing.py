"""Topics that are closed, and begin anew under the same name, while they are read."""

from __future__ import annotations

from contextlib import suppress
from itertools import count, cycle

import anyio

from soak.load import LOOPS, Load, Start
from soak.part import Part
from soak.reading import WAYS, read

NAMES = ("churn.one", "churn.two.three")


def begin_anew(part: Part, name: str) -> None:
    for generation in count():
        if part.stopping.is_set():
            return
        topic = part.bus.topic(name)
        begun = topic.published
        if begun:
            raise AssertionError(f"{name!r} began anew with {begun} messages")
        for number in range(1, part.random.randrange(2, 300)):
            topic.publish((f"{name}, time {generation}", number))
            part.counts["published"] += 1
            if not part.random.randrange(50):
                part.pause(0, 0.02)
        topic.close(RuntimeError("for a change") if part.random.random() < 0.3 else None)
        part.counts["topics closed"] += 1
        part.pause(0, 0.02)


async def read_to_the_end(part: Part, name: str) -> None:
    while True:
        with part.reading(part.subscribe(name)) as witness, suppress(anyio.EndOfStream):
            await read(witness, part.random.choice(WAYS))
            part.counts["ends"] += 1
        await anyio.sleep(0.001)


def run(start: Start) -> None:
    for name in NAMES:
        start.thread(begin_anew, name)
    for loop, name in zip(LOOPS, cycle(NAMES), strict=False):
        start.task(loop, read_to_the_end, name)


CLOSING = Load("closing", run)
