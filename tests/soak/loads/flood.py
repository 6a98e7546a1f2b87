"""Threads that publish a lot at once, and tasks that publish a little."""

from __future__ import annotations

from itertools import count, islice
from time import perf_counter

import anyio

from soak.load import LOOPS, Load, Start
from soak.part import Part

BURST = 100
FLOODED = ("flood.one", "flood.two")
NUMBERED = (*FLOODED, *(f"flood.{loop}" for loop in LOOPS))
"""Topics that have one publisher each and are there all the time."""


def flood(part: Part, name: str) -> None:
    topic = part.bus.topic(name)
    numbers = count(1)
    while not part.stopping.is_set():
        until = perf_counter() + part.random.uniform(0.02, 0.5)
        with part.flood():
            while perf_counter() < until:
                for number in islice(numbers, BURST):
                    topic.publish((name, number))
                part.counts["published"] += BURST
                if part.rate:
                    part.stopping.wait(BURST / part.rate)
        part.pause(0.02, 0.5)


async def trickle(part: Part, name: str) -> None:
    topic = part.bus.topic(name)
    numbers = count(1)
    while True:
        many = part.random.randrange(1, 50)
        topic.publish_many([(name, next(numbers)) for _ in range(many)])
        part.counts["published"] += many
        await anyio.sleep(part.random.uniform(0, 0.05))


def flood_all(start: Start) -> None:
    for name in FLOODED:
        start.bus.topic(name, keep=True)
        start.thread(flood, name)


def trickle_all(start: Start) -> None:
    for loop in LOOPS:
        start.bus.topic(f"flood.{loop}", keep=True)
        start.task(loop, trickle, f"flood.{loop}")


FLOOD = Load("flood", flood_all)
TRICKLE = Load("trickle", trickle_all)
