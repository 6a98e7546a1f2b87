"""Subscriptions to patterns, which come and go while their topics do."""

from __future__ import annotations

import anyio

from soak.load import LOOPS, Load, Start
from soak.part import Part
from soak.reading import WAYS, read

PATTERNS_TO_READ = (
    ("flood.*",),
    ("churn.>",),
    ("*.one", "*.trio"),
    ("flood.asyncio", "churn.*", "churn.>"),
)


async def come_and_go(part: Part) -> None:
    while True:
        patterns = part.random.choice(PATTERNS_TO_READ)
        with part.reading(part.subscribe(*patterns), exact=False) as witness:
            part.counts["patterns"] += 1
            with anyio.move_on_after(part.random.uniform(0, 0.5)) as scope:
                await read(witness, part.random.choice(WAYS))
            part.counts["cancels"] += scope.cancelled_caught


def run(start: Start) -> None:
    for loop in LOOPS:
        start.task(loop, come_and_go)


PATTERNS = Load("patterns", run)
