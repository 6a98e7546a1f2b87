"""Senders that wait for the slowest reader, and readers that must not miss anything."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import anyio

from driftline import Topic
from proof.law import LawBroken, Published
from soak.load import LOOPS, Load, Start
from soak.part import Part
from soak.reading import one_by_one, read

LIMIT = 16
Sent = Topic[Published]


async def send(part: Part, topic: Sent) -> None:
    number = 1
    while True:
        with anyio.move_on_after(part.random.uniform(0, 0.01)) as scope:
            await topic.send((topic.name, number))
        if not scope.cancelled_caught:
            number += 1
            part.counts["published"] += 1
        await anyio.sleep(part.random.uniform(0, 0.002))


def send_blocking(part: Part, topic: Sent) -> None:
    numbers = count(1)
    number = next(numbers)
    while not part.stopping.is_set():
        with suppress(TimeoutError):
            topic.send_blocking((topic.name, number), timeout=0.01)
            number = next(numbers)
            part.counts["published"] += 1


async def miss_nothing(part: Part, topic: Sent) -> None:
    while True:
        with part.reading(topic.subscribe()) as witness:
            with anyio.move_on_after(part.random.uniform(0, 0.3)):
                await read(witness, one_by_one)
            await anyio.sleep(part.random.uniform(0, 0.01))
        if witness.subscription.missed:
            raise LawBroken(
                f"{witness.subscription.missed} that were sent on {topic.name!r} were missed"
            )


def run(start: Start) -> None:
    # Topics of their own, for who publishes on another topic of a bus may hold up what was sent.
    topics = [Sent(f"sent.{loop}", limit=LIMIT) for loop in (*LOOPS, "thread")]
    for topic, loop in zip(topics, LOOPS, strict=False):
        start.task(loop, send, topic)
    start.thread(send_blocking, topics[-1])
    for loop, topic in zip(LOOPS, topics[1:], strict=True):  # not on the loop of who sends
        start.task(loop, miss_nothing, topic)


SENDING = Load("sending", run)
