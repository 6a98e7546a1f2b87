"""Readers that fork, leave their place parked, and come back to it."""

from __future__ import annotations

import anyio

from driftline import PositionLost
from soak.load import LOOPS, Load, Start
from soak.loads.flood import NUMBERED
from soak.part import Part
from soak.reading import WAYS, read
from soak.witness import Witness


async def leave_and_return(part: Part) -> None:
    while True:
        topic = part.bus.topic(part.random.choice(NUMBERED))
        with part.reading(topic.subscribe(on_lag="skip")) as witness:
            await read_for_a_while(part, witness)
            with part.reading(witness.subscription.fork()) as forked:
                part.counts["forks"] += 1
                await read_for_a_while(part, forked)
            place = witness.subscription.park(part.random.uniform(0.01, 1))
            part.counts["parked"] += 1
        await anyio.sleep(part.random.uniform(0, 0.5))
        try:
            again = topic.subscribe(since=str(place), on_lag="skip")
        except PositionLost:
            part.counts["positions lost"] += 1
            continue
        with part.reading(again) as witness:
            part.counts["returns"] += 1
            if witness.start != place.seq:
                raise AssertionError(f"came back to {witness.start} and not {place.seq}")
            await read_for_a_while(part, witness)


async def read_for_a_while(part: Part, witness: Witness) -> None:
    with anyio.move_on_after(part.random.uniform(0.001, 0.1)):
        await read(witness, part.random.choice(WAYS))


def run(start: Start) -> None:
    for loop in LOOPS:
        start.task(loop, leave_and_return)


RETURNING = Load("returning", run)
