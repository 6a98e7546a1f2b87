"""How messages are sent, in every way that can follow another on a connection.

Each step says what each client gets. When all of that has come back the next step begins, so that
the order of what is published and what is sent to each is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from websockets.asyncio.server import broadcast

from conformance.peer import Payload, Peer
from driftline import Topic


class Stage(NamedTuple):
    """Where a step is played."""

    topic: Topic[Payload]
    peers: Sequence[Peer]
    payloads: Iterator[Payload]
    """What is published, and sent to all."""
    small: Iterator[Payload]
    """Likewise, a few kilobytes at most."""
    own: Iterator[Payload]
    """What is sent to one client."""
    random: Random


Step = Callable[[Stage], Awaitable[None]]


async def publish(stage: Stage) -> None:
    """Publish one message."""
    _publish(stage, next(stage.payloads))


async def publish_several(stage: Stage) -> None:
    """Publish messages at once, which are joined, or too much for one piece."""
    for _ in range(stage.random.randrange(2, 10)):
        _publish(stage, next(stage.payloads))


async def publish_small_ones(stage: Stage) -> None:
    """Publish small messages at once, all of them in one piece."""
    for _ in range(stage.random.randrange(2, 10)):
        _publish(stage, next(stage.small))


async def send(stage: Stage) -> None:
    """Send each client something else."""
    await asyncio.gather(*(_send(peer, next(stage.own)) for peer in stage.peers))


async def send_fragments(stage: Stage) -> None:
    """Send each client something else, in pieces."""
    await asyncio.gather(*(_send_pieces(peer, stage) for peer in stage.peers))


async def publish_between_fragments(stage: Stage) -> None:
    """Publish, and ping, while each client is sent something in pieces."""
    go = asyncio.Event()
    begun = [asyncio.Event() for _ in stage.peers]
    sent = [
        asyncio.create_task(_send_pieces(peer, stage, begin, go))
        for peer, begin in zip(stage.peers, begun, strict=True)
    ]
    for begin in begun:
        await begin.wait()
    _publish(stage, next(stage.payloads))
    _publish(stage, next(stage.small))
    await ping(stage)
    go.set()
    await asyncio.gather(*sent)


async def broadcast_one(stage: Stage) -> None:
    """Send a message to all with what websockets has for that."""
    message = next(stage.payloads)
    for peer in stage.peers:
        peer.expect(message)
    broadcast([peer.connection for peer in stage.peers], message)


async def ping(stage: Stage) -> None:
    """Ping each client."""
    await asyncio.gather(*(peer.ping() for peer in stage.peers))


STEPS: tuple[Step, ...] = (
    publish,
    send,
    publish_several,
    send_fragments,
    publish_small_ones,
    publish_between_fragments,
    broadcast_one,
    ping,
)


def script(random: Random, length: int) -> list[Step]:
    """Return so many steps, each as often as any other."""
    steps = list(islice(cycle(STEPS), length))
    random.shuffle(steps)
    return steps


def _publish(stage: Stage, message: Payload) -> None:
    for peer in stage.peers:
        peer.expect(message)
    stage.topic.publish(message)


async def _send(peer: Peer, message: Payload) -> None:
    peer.expect(message)
    await peer.send(message)


async def _send_pieces(
    peer: Peer, stage: Stage, begun: asyncio.Event | None = None, go: asyncio.Event | None = None
) -> None:
    """Send one message in pieces; after the first, wait to be let go."""
    message = next(stage.own)
    most = max(1, len(message) // stage.random.randrange(1, 6))
    peer.expect(message)

    async def pieces() -> AsyncIterator[Payload]:
        yield message[:most]
        if begun is not None and go is not None:
            begun.set()
            await go.wait()
        for start in range(most, len(message), most):
            yield message[start : start + most]

    try:
        await peer.send(pieces())
    finally:
        if begun is not None:
            begun.set()  # also if the connection is gone
