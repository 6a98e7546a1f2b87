"""Relaying while something else goes on, and what ends it."""

import asyncio
from typing import Any

import anyio
import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Lagged, Topic
from driftline.websockets import publish_from, relay, relay_blocking, relaying, statistics
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


async def test_relaying_a_subscription_that_somebody_closes_ends_and_says_so() -> None:
    """Also while it keeps up, when nothing of it is read."""
    topic: Topic[str] = Topic("news")
    ended: asyncio.Queue[Exception] = asyncio.Queue()
    subscription = topic.subscribe()

    async def handler(websocket: ServerConnection) -> None:
        try:
            await relay(subscription, websocket)
        except anyio.ClosedResourceError as error:
            await ended.put(error)

    async with hosting(handler) as host, host.client() as client:
        topic.publish("first")
        assert await client.recv() == "first"
        subscription.close()
        assert "was closed" in str(await ended.get())
        assert await read_all(client) == []


async def test_d6_many_small_messages_at_once_let_others_run() -> None:
    """However small they are, they are not joined without end."""
    topic: Topic[bytes] = Topic("news")
    many = 20_000
    async with relaying_to_all(topic) as host, host.client() as client:
        await until(lambda: bool(statistics()) and bool(statistics()[0].clients))
        topic.publish_many([b""] * many)
        before, seen = -1, 0
        while (messages := statistics()[0].messages) < many:
            seen += before not in {-1, messages}
            before = messages
            await asyncio.sleep(0)
        assert seen > many * 64 / (32 * 1024) / 2
        for _ in range(many):
            assert await client.recv() == b""


async def test_who_asks_on_the_wrong_server_is_told_what_to_use() -> None:
    topic: Topic[str] = Topic("news")
    told: asyncio.Queue[str] = asyncio.Queue()

    async def handler(websocket: ServerConnection) -> None:
        with pytest.raises(TypeError, match="use `await relay") as wrong:
            relay_blocking(topic, websocket)
        with pytest.raises(TypeError, match="takes a connection and then a topic"):
            await publish_from(websocket, "news")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="numbers of seconds, not None"):
            await relay(topic, websocket, patience=None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="no option 'maxlag'; for a topic there are name, "):
            await relay(topic, websocket, maxlag=5)  # type: ignore[call-arg]
        await told.put(str(wrong.value))

    async with hosting(handler) as host, host.client():
        assert "threading server" in await told.get()
    with pytest.raises(TypeError, match="of the library websockets, not <object"):
        await relay(topic, object())
