"""Readers that do not read for a while, and then are told what they have missed."""

from __future__ import annotations

import anyio

from soak.load import LOOPS, Load, Start
from soak.loads.flood import NUMBERED
from soak.part import Part
from soak.reading import read_ready


async def stall(part: Part) -> None:
    while True:
        name = part.random.choice(NUMBERED)
        with part.reading(part.subscribe(name)) as witness:
            for _ in range(part.random.randrange(1, 4)):
                await anyio.sleep(part.random.uniform(0.1, 1.5))
                part.counts["stalls"] += 1
                if part.random.random() < 0.2 and not witness.subscription.closed:
                    witness.subscription.skip_to_latest()
                if not witness.subscription.closed:
                    await read_ready(witness)


def run(start: Start) -> None:
    for loop in LOOPS:
        start.task(loop, stall)


STALLING = Load("stalling", run)
