"""One server, one program with several connections to it, and one script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import NamedTuple

from websockets.asyncio.server import ServerConnection, serve

from conformance.offers import Offer
from conformance.payloads import payloads
from conformance.peer import Payload, Peer
from conformance.programs.program import Echo
from conformance.servers import Server
from conformance.steps import Stage, script
from driftline import Topic
from driftline.websockets import relay

MANY = 10_000
"""Messages that come back before they are read. None has no bound, but not in websockets 14.0."""


class Result(NamedTuple):
    """What came of one connection."""

    offer: Offer | None
    compared: int
    """Messages that came back as they were sent."""
    fault: str | None
    """What is wrong, if anything is."""


async def run(
    server: Server,
    echo: Echo,
    offers: Sequence[Offer | None],
    seed: int,
    steps: int,
    patience: float = 20.0,
) -> list[Result]:
    """Have a server send to clients that make these offers; return what came of each."""
    random = Random(seed)
    topic = Topic[Payload]("conformance")
    arrivals = [asyncio.get_running_loop().create_future() for _ in offers]

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        arrivals[int(connection.request.path[1:])].set_result(connection)
        await relay(topic, connection)

    # What comes back is read after a step has been sent: it must not be in the way of that.
    async with serve(handler, "127.0.0.1", 0, max_queue=MANY, **server.options) as listening:
        port = listening.sockets[0].getsockname()[1]
        clients = [
            asyncio.create_task(_come(echo, f"ws://127.0.0.1:{port}/{number}", offer, arrival))
            for number, (offer, arrival) in enumerate(zip(offers, arrivals, strict=True))
        ]
        await asyncio.wait(arrivals, timeout=patience)
        peers = [
            _peer(arrival, server, offer, patience)
            for offer, arrival in zip(offers, arrivals, strict=True)
        ]
        here = [peer for peer in peers if isinstance(peer, Peer)]
        kinds = payloads(random), payloads(random, most=4096), payloads(random)
        for step in script(random, steps):
            here = [peer for peer in here if peer.fault is None]
            await step(Stage(topic, here, *kinds, random))
            await asyncio.gather(*(peer.compare() for peer in here))
        topic.close()
    await asyncio.wait(clients, timeout=patience)
    return [
        Result(offer, peer.compared, peer.fault)
        if isinstance(peer, Peer)
        else Result(offer, 0, peer)
        for offer, peer in zip(offers, peers, strict=True)
    ]


async def _come(
    echo: Echo, url: str, offer: Offer | None, arrival: asyncio.Future[ServerConnection]
) -> None:
    try:
        await echo(url, offer)
    except Exception as error:  # for example because the two do not agree
        with suppress(asyncio.InvalidStateError):  # it had arrived; the server sees what it sees
            arrival.set_exception(error)


def _peer(
    arrival: asyncio.Future[ServerConnection], server: Server, offer: Offer | None, patience: float
) -> Peer | str:
    if not arrival.done():
        return "it has not come"
    if error := arrival.exception():
        return f"it has not come: {error!r}"
    peer = Peer(arrival.result(), patience)
    # Without compression there would be nothing to get wrong.
    compresses = bool(arrival.result().protocol.extensions)
    if compresses != (offer is not None and server.kind != "plain"):
        peer.fault = f"compression is {'on' if compresses else 'off'}"
    return peer
