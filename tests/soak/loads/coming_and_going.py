"""Tasks that join, read in every way, and are cancelled at any moment."""

from __future__ import annotations

import anyio

from soak.load import LOOPS, Load, Start
from soak.loads.flood import NUMBERED
from soak.part import Part
from soak.reading import WAYS, read

TASKS = 1


async def come_and_go(part: Part) -> None:
    while True:
        name = part.random.choice(NUMBERED)
        way = part.random.choice(WAYS)
        options = {"replay": part.random.randrange(100)} if part.random.random() < 0.3 else {}
        with part.reading(part.subscribe(name, **options)) as witness:
            with anyio.move_on_after(part.random.uniform(0, 0.4)) as scope:
                await read(witness, way)
            part.counts["cancels"] += scope.cancelled_caught
        await anyio.sleep(part.random.uniform(0, 0.02))


def run(start: Start) -> None:
    for loop in LOOPS:
        for _ in range(TASKS):
            start.task(loop, come_and_go)


COMING_AND_GOING = Load("coming and going", run)
