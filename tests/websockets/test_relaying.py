"""Relaying while something else goes on, and what ends it."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Lagged, Topic
from driftline.websockets import relaying, statistics
from loopback import hosting, read_all, relaying_to_all, until


async def test_cancelling_relay_leaves_the_connection_and_the_others_as_they_are() -> None:
    """The connection can be used on, and nothing more of the topic comes over it."""
    topic: Topic[str] = Topic("news")

    async def handler(websocket: ServerConnection) -> None:
        async with relaying(topic, websocket):
            await websocket.recv()
        await websocket.send("own")

    async with (
        hosting(handler) as host,
        host.client() as one,
        host.client() as other,
    ):
        await until(lambda: len(statistics()) == 1 and len(statistics()[0].clients) == 2)
        topic.publish("first")
        assert await one.recv() == await other.recv() == "first"
        await one.send("stop")
        assert await one.recv() == "own"
        topic.publish("second")
        assert await other.recv() == "second"
        assert await read_all(one) == []
        assert len(statistics()[0].clients) == 1


async def test_nothing_is_left_when_the_last_client_has_gone() -> None:
    """The reader of the topic ends, and comes back with the next client."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic) as host:
        for _ in range(2):
            async with host.client() as client:
                await until(lambda: bool(statistics()))
                topic.publish("one")
                assert await client.recv() == "one"
            assert await host.endings.get() == "gone"
            assert not statistics()
            assert not topic.subscriptions()


@pytest.mark.parametrize("error", [None, OSError("no more")])
async def test_when_the_topic_ends_each_client_gets_everything_first(
    error: OSError | None,
) -> None:
    """Then the handler returns, or is told why it failed."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic) as host, host.client() as one, host.client() as other:
        await until(lambda: bool(statistics()) and len(statistics()[0].clients) == 2)
        topic.publish("last")
        topic.close(error)
        assert await read_all(one) == await read_all(other) == ["last"]
        for _ in range(2):
            ending = await host.endings.get()
            assert ending == "ended" if error is None else ending.__cause__ is error


async def test_what_the_block_raises_comes_as_it_is() -> None:
    """Not in a group: `except ConnectionClosed` around it works."""

    async def handler(websocket: ServerConnection) -> None:
        async with relaying(Topic("news"), websocket):
            raise LookupError

    async with hosting(handler) as host, host.client():
        assert type(await host.endings.get()) is LookupError


async def test_what_relay_raises_ends_the_block() -> None:
    """And comes as it is."""
    topic: Topic[Any] = Topic("news", replay=3)
    for number in range(3):
        topic.publish(str(number))

    async def handler(websocket: ServerConnection) -> None:
        async with relaying(topic, websocket, replay=3, max_lag=1, on_lag="raise"):
            await asyncio.Event().wait()

    async with hosting(handler) as host, host.client():
        assert type(await host.endings.get()) is Lagged
