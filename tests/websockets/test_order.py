"""P1 from end to end: what clients have read is complete and in order, however they read."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Message, Topic
from driftline.websockets import relay, serve_options, statistics
from loopback import hosting, until
from proof.law import Ledger, Published, Reader

pytestmark = pytest.mark.once

CLIENTS, MESSAGES, OWN = 15, 4000, 40
FILLER = "x" * 200


@pytest.fixture(scope="module", params=[{}, {"use_uvloop": True}], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Without debug mode, which takes most of the time."""
    return "asyncio", request.param


class Turns:
    """What pauses last for: the publisher ends one turn after the other."""

    def __init__(self) -> None:
        self._end: asyncio.Future[None] | None = asyncio.Future()

    async def wait(self, turns: int) -> None:
        """Wait for so many, or until there are no more."""
        for _ in range(turns):
            if self._end is not None:
                await asyncio.wait([self._end])

    def end(self, *, last: bool = False) -> None:
        """End this one."""
        ended, self._end = self._end, None if last else asyncio.Future()
        if ended is not None:
            ended.set_result(None)


def written(message: Message[Published]) -> str:
    """Make a message of a value and its number."""
    return json.dumps([*message.value, message.seq, FILLER])


async def send_own(websocket: ServerConnection, turns: Turns) -> None:
    """Send messages besides, every second in fragments, while the topic goes on."""

    async def fragments(number: int) -> AsyncIterator[str]:
        yield "own "
        await asyncio.sleep(0)
        yield str(number)

    for number in range(OWN):
        await websocket.send(fragments(number) if number % 2 else f"own {number}")
        await turns.wait(1)


async def test_p1_what_clients_have_read_is_complete_and_in_order() -> None:
    """Half of them pause at random, and among the messages are some of their own."""
    topic: Topic[Published] = Topic("numbers")
    ledger = Ledger(topic)
    readers: dict[str, Reader[Any]] = {}
    turns = Turns()
    behind = 0

    async def handler(websocket: ServerConnection) -> Any:
        name = websocket.request.path[1:]  # type: ignore[union-attr]
        reader = readers[name] = ledger.reader(name, lambda: topic.subscribe(name=name))
        own = asyncio.ensure_future(send_own(websocket, turns))
        try:
            return await relay(reader.subscription, websocket, encode_message=written)
        finally:
            await own

    async def read(client: Any, name: str) -> list[str]:
        choose, own = Random(name), []
        async for text in client:
            if text.startswith("own"):
                own.append(text)
                continue
            publisher, number, seq, _ = json.loads(text)
            readers[name].got((publisher, number), seq)
            if int(name) % 2 and choose.random() < 0.005:
                await turns.wait(choose.randrange(20))
        return own

    async with hosting(handler, **serve_options()) as host, AsyncExitStack() as stack:
        reading = []
        for name in map(str, range(CLIENTS)):
            client = await stack.enter_async_context(host.client(name))
            reading.append(asyncio.ensure_future(read(client, name)))
        await until(lambda: len(readers) == CLIENTS)
        choose = Random(0)
        for number in range(MESSAGES):
            ledger.publish(f"publisher {number % 3}")
            if choose.random() < 0.1:
                turns.end()
                await asyncio.sleep(0)
                behind = max(behind, statistics()[0].behind)
        topic.close()
        turns.end(last=True)
        for own in await asyncio.gather(*reading):
            assert own == [f"own {number}" for number in range(OWN)]
        assert [await host.endings.get() for _ in range(CLIENTS)] == ["ended"] * CLIENTS
    ledger.check()
    assert behind > 1  # or else it would show nothing
