"""F12: a client that has missed something is told how much, and can come back to where it was."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Message, OnLag, Position, PositionLost, Topic
from driftline.websockets import Ending, relay, statistics
from loopback import hosting, read_all, relaying_to_all, until

ON_LAG = pytest.mark.parametrize("on_lag", ["raise", "skip"])


def numbered(value: int) -> str:
    """Make a message that is large enough to fill buffers."""
    return json.dumps({"value": value, "filler": "x" * 4096})


def told(missed: int) -> str:
    """Say how many were missed."""
    return json.dumps({"missed": missed})


@ON_LAG
async def test_f12_who_falls_behind_is_told_how_many_it_missed(on_lag: OnLag) -> None:
    """What it gets and what it is told of make up everything, in order."""
    count = 2000
    topic: Topic[int] = Topic("prices", limit=50)
    async with (
        relaying_to_all(topic, encode=numbered, tell=told, on_lag=on_lag) as host,
        host.client(max_queue=1) as client,
    ):
        await host.arrived.get()
        for value in range(count):
            topic.publish(value)
            await asyncio.sleep(0)
        await until(lambda: statistics()[0].behind == 1)
        [subscription] = [each for each in topic.subscriptions() if each.name != "fan-out"]
        topic.close()
        following, gaps = 0, 0
        async for text in client:
            message = json.loads(text)
            if "missed" in message:
                gaps += 1
                following += message["missed"]
            else:
                assert message["value"] == following
                following += 1
        assert following == count
        assert gaps >= 1
        assert await host.endings.get() == "ended"
        assert subscription.received + subscription.missed == count


@ON_LAG
async def test_f12_when_messages_are_cut_off_for_all_each_is_told(on_lag: OnLag) -> None:
    """More is published at once than the topic keeps: the reader for all has missed it, too."""
    topic: Topic[int] = Topic("prices", limit=5)
    async with (
        relaying_to_all(topic, encode=str, tell=told, on_lag=on_lag) as host,
        host.client() as one,
        host.client() as other,
    ):
        await until(lambda: any(len(each.clients) == 2 for each in statistics()))
        topic.publish_many(range(100))
        topic.close()
        word, *values = await read_all(one)
        missed = json.loads(word)["missed"]
        assert missed >= 90
        assert values == [str(value) for value in range(missed, 100)]
        assert await read_all(other) == [word, *values]


async def relay_since(topic: Topic[str], websocket: ServerConnection) -> Ending:
    """Relay from the place on that the client names first."""
    epoch = topic.statistics().epoch

    def placed(message: Message[str]) -> str:
        return json.dumps([str(Position(epoch, message.seq)), message.value])

    since = str(await websocket.recv()) or None
    return await relay(topic, websocket, since=since, encode_message=placed)


async def test_f12_who_comes_back_goes_on_from_its_position() -> None:
    """Nothing is lost between the two connections, and nothing is repeated."""
    topic: Topic[str] = Topic("prices", replay=10)
    async with hosting(lambda websocket: relay_since(topic, websocket)) as host:
        async with host.client() as client:
            await client.send("")
            await until(lambda: bool(topic.subscriptions()))
            topic.publish("one")
            topic.publish("two")
            token, value = json.loads(await client.recv())
            assert value == "one"  # the second was on its way, and is had again
        assert await host.endings.get() == "gone"
        topic.publish("three")
        async with host.client() as client:
            await client.send(token)
            assert json.loads(await client.recv())[1] == "two"
            assert json.loads(await client.recv())[1] == "three"
            topic.publish("four")
            assert json.loads(await client.recv())[1] == "four"


async def test_f12_who_comes_back_too_late_gets_nothing_instead_of_a_gap() -> None:
    """The handler is told, and can say so."""
    topic: Topic[str] = Topic("prices", replay=1)
    with topic.subscribe() as subscription:
        token = str(subscription.position)
    for value in ("one", "two", "three"):
        topic.publish(value)
    async with (
        hosting(lambda websocket: relay_since(topic, websocket)) as host,
        host.client() as client,
    ):
        await client.send(token)
        error = await host.endings.get()
        assert isinstance(error, PositionLost)
        assert error.missed == 2
        assert await read_all(client) == []
