"""Whatever state a connection is in, and whatever is sent on it besides, the client understands."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.extensions import Extension
from websockets.extensions.base import ServerExtensionFactory
from websockets.frames import CloseCode

from driftline import Bus, Topic
from driftline.websockets import relay, serve_options, statistics
from loopback import CLOSE, all_live, hosting, read_all, relaying_to_all, until

CERTIFICATE = Path(__file__).with_name("localhost.pem")
SERVERS = pytest.mark.parametrize("server", [{}, serve_options()], ids=["stock", "shared"])
LARGE = "x" * 300 * 1024


@SERVERS
async def test_a_message_waits_for_the_end_of_one_that_is_sent_in_fragments(
    server: dict[str, Any],
) -> None:
    """Between its fragments the client would refuse it. Others do not wait."""
    topic: Topic[str] = Topic("news")
    first_is_sent, others_are_written_to = asyncio.Event(), asyncio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "own " * 100
        first_is_sent.set()
        await others_are_written_to.wait()
        yield "message"

    async with (
        relaying_to_all(topic, server=server) as host,
        host.client() as client,
        host.client() as other,
    ):
        connection = await host.arrived.get()
        await all_live(2)
        sending = asyncio.ensure_future(connection.send(fragments()))
        await first_is_sent.wait()
        topic.publish("one")
        topic.publish("two")
        assert [await other.recv(), await other.recv()] == ["one", "two"]
        assert statistics()[0].behind == 1
        others_are_written_to.set()
        await sending
        topic.close()
        assert await read_all(client) == ["own " * 100 + "message", "one", "two"]


@SERVERS
async def test_own_messages_and_those_of_the_topic_are_all_understood(
    server: dict[str, Any],
) -> None:
    """Also compressed ones, which refer back to others where the server has its own compressor.

    Another client, without compression, gets those of the topic plain.
    """
    topic: Topic[str] = Topic("news")
    kinds = ("topic", "own", "fragmented")
    expected = [f"{kind} {number} " * 100 for number in range(20) for kind in kinds]
    async with (
        relaying_to_all(topic, server=server) as host,
        host.client() as client,
        host.client(compression=None) as plain,
    ):
        connection = await host.arrived.get()
        await all_live(2)
        for text in expected:
            if text.startswith("own"):
                await connection.send(text)
            elif text.startswith("fragmented"):
                await connection.send([text[:99], text[99:]])
            else:
                topic.publish(text)
                assert await plain.recv() == text
            assert await client.recv() == text


async def test_what_was_changed_since_it_was_sent_is_sent_as_it_is_now() -> None:
    """Although it is the same object, which otherwise is compressed once."""
    data = bytearray(b"some " * 100)
    async with (
        relaying_to_all(Topic("news"), server=serve_options()) as host,
        host.client() as client,
    ):
        connection = await host.arrived.get()
        for word in (b"this", b"that"):
            data[:4] = word
            await connection.send(data)
            assert await client.recv() == bytes(data)


async def test_nothing_follows_the_frame_that_closes() -> None:
    """The connection may be closed between publishing and writing."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic) as host, host.raw_client() as client:
        connection = await host.arrived.get()
        await all_live(1)
        topic.publish("before")
        await asyncio.sleep(0)
        topic.publish("after")
        closing = asyncio.ensure_future(connection.close())
        frames = [await client.read_frame()]
        while frames[-1][0] != CLOSE:
            frames.append(await client.read_frame())
        topic.publish("late")
        for _ in range(10):
            await asyncio.sleep(0)
        client.socket.shutdown(1)
        with pytest.raises(EOFError):
            await client.read(1)
        await closing
        assert await host.endings.get() == "gone"


async def test_a_connection_that_was_lost_before_is_gone() -> None:
    """Nothing is written to it, and nothing is raised."""
    topic: Topic[str] = Topic("news", replay=1)
    topic.publish("one")

    async def handler(websocket: ServerConnection) -> Any:
        websocket.transport.abort()
        await websocket.wait_closed()
        return await relay(topic, websocket, replay=1)

    async with hosting(handler) as host, host.raw_client():
        assert await host.endings.get() == "gone"
    assert not topic.subscriptions()


@SERVERS
async def test_large_messages_reach_all_who_read(server: dict[str, Any]) -> None:
    """Each of them fills every buffer: all are behind for a moment, and catch up."""
    topic: Topic[str] = Topic("news")
    async with (
        relaying_to_all(topic, server=server) as host,
        host.client() as one,
        host.client() as other,
    ):
        await host.arrived.get(), await host.arrived.get()
        for _ in range(5):
            topic.publish(LARGE)
        topic.close()
        for messages in await asyncio.gather(read_all(one), read_all(other)):
            assert messages == [LARGE] * 5


async def test_it_works_over_tls() -> None:
    """Also for who falls behind."""
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(CERTIFICATE)
    of_client = ssl.create_default_context(cafile=str(CERTIFICATE))
    topic: Topic[str] = Topic("news")
    async with (
        relaying_to_all(topic, server={"ssl": of_server}) as host,
        host.client(
            ssl=of_client, server_hostname="localhost", max_queue=1, close_timeout=0.1
        ) as client,
    ):
        await all_live(1)
        for number in range(40):
            topic.publish(f"{number} {LARGE}")
        await until(lambda: statistics()[0].behind == 1)
        topic.close()
        assert [str(text).split()[0] for text in await read_all(client)] == [
            str(number) for number in range(40)
        ]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("value", "options", "error", "words"),
    [
        (1, {}, TypeError, "encode="),
        (b"\xff", {"text": True}, ValueError, "UTF-8"),
        ("\ud800", {}, ValueError, "UTF-8"),
        (b"1", {"encode": int.from_bytes}, TypeError, "encode="),
    ],
)
async def test_what_cannot_be_sent_is_raised_in_the_handler(
    value: Any, options: dict[str, Any], error: type[Exception], words: str, behind: bool
) -> None:
    """In each; what was published before is sent, and nothing that a client would refuse."""
    topic: Topic[Any] = Topic("news", replay=2)
    good: Any = b"good"
    if options.get("encode"):
        options = {"encode": lambda value: value if value == good else int(value)}
    if behind:
        topic.publish(good)
        topic.publish(value)
    async with (
        relaying_to_all(topic, replay=2, **options) as host,
        host.client() as one,
        host.client() as other,
    ):
        if not behind:
            await all_live(2)
            topic.publish(good)
            topic.publish(value)
        for client in (one, other):
            raised = await host.endings.get()
            assert isinstance(raised, error)
            assert words in str(raised)
            assert await read_all(client) in (["good"], [b"good"])
            assert client.close_code == CloseCode.INTERNAL_ERROR


async def test_what_is_written_is_logged_where_websockets_logs_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the level at which websockets says what it sends."""
    topic: Topic[str] = Topic("news")
    with caplog.at_level(logging.DEBUG, "websockets.server"):
        async with relaying_to_all(topic) as host, host.client() as client:
            await all_live(1)
            topic.publish("one")
            assert await client.recv() == "one"
    assert "> 5 bytes of the fan-out" in caplog.messages


class Upper(Extension):
    """An extension that nobody knows."""

    name = "x-upper"  # type: ignore[assignment]

    def encode(self, frame: Any) -> Any:
        """Change what is sent."""
        return type(frame)(frame.opcode, bytes(frame.data).upper(), frame.fin)

    def decode(self, frame: Any, *, max_size: Any = None) -> Any:
        """Leave what is received."""
        return frame


class UpperFactory(ServerExtensionFactory):
    """Negotiates it."""

    name = "x-upper"  # type: ignore[assignment]

    def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
        """Agree."""
        return [], Upper()


async def test_a_connection_with_an_extension_of_its_own_is_sent_to_by_itself() -> None:
    """Frames made for others would be wrong for it."""
    topic: Topic[str] = Topic("news", replay=2)
    topic.publish("one")
    topic.publish("two")
    server = {"extensions": [UpperFactory()], "compression": None}
    async with (
        relaying_to_all(topic, server=server, replay=2) as host,
        host.raw_client("x-upper") as client,
        host.client() as other,
    ):
        assert [(await client.read_frame())[1] for _ in range(2)] == [b"ONE", b"TWO"]
        assert [await other.recv(), await other.recv()] == ["one", "two"]
        topic.publish("three")
        assert (await client.read_frame())[1] == b"THREE"
        assert await other.recv() == "three"
        assert [len(each.clients) for each in statistics()] == [1]
        topic.close()
        assert {await host.endings.get(), await host.endings.get()} == {"ended"}


@pytest.mark.parametrize("name", ["connection_lost_waiter", "drain", "paused"])
async def test_where_websockets_has_renamed_something_messages_are_sent_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is used of it is looked for before."""
    monkeypatch.setattr("driftline._websockets.wire._NEEDED", (f"{name}_of_old",))
    topic: Topic[str] = Topic("news", replay=2)
    topic.publish("one")
    topic.publish("two")
    async with relaying_to_all(topic, replay=2) as host, host.client() as client:
        assert [await client.recv(), await client.recv()] == ["one", "two"]
        topic.publish("three")
        assert await client.recv() == "three"
        assert not statistics()
        topic.close()
        assert await host.endings.get() == "ended"


async def test_patterns_of_a_bus_are_relayed() -> None:
    """The subscription is one's own, and is left open."""
    bus = Bus()
    subscriptions = []

    async def handler(websocket: ServerConnection) -> Any:
        subscription = bus.subscribe("chat.*")
        subscriptions.append(subscription)
        return await relay(
            subscription, websocket, encode_message=lambda each: f"{each.topic}: {each.value}"
        )

    async with hosting(handler) as host, host.client() as one, host.client() as other:
        await until(lambda: len(subscriptions) == 2)
        bus.publish("chat.red", "hello")
        bus.publish("news", "not wanted")
        bus.publish("chat.blue", "hi")
        for client in (one, other):
            assert [await client.recv(), await client.recv()] == [
                "chat.red: hello",
                "chat.blue: hi",
            ]
    assert not any(subscription.closed for subscription in subscriptions)
    for subscription in subscriptions:
        subscription.close()
