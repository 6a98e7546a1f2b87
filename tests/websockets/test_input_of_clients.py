"""What clients send and must not: enormous messages, bombs, floods, and handshakes without end."""

import asyncio
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from time import monotonic
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode

from driftline import Topic
from driftline.websockets import Allowance, publish_from, relaying, serve_options
from loopback import BINARY, COMPRESSED, TEXT, frame, hosting

MEBIBYTE = 1024 * 1024
SERVERS = pytest.mark.parametrize("server", [{}, serve_options()], ids=["stock", "shared"])


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """Say that Python takes so many bytes at most meanwhile."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak < most
    finally:
        tracemalloc.stop()


def publishing(topic: Topic[Any], **options: Any) -> Any:
    """Return a handler that publishes what a client sends."""

    async def handler(websocket: ServerConnection) -> None:
        await publish_from(websocket, topic, **options)

    return handler


@SERVERS
async def test_f5_a_frame_that_claims_to_be_enormous_is_refused(server: dict[str, Any]) -> None:
    """Its first bytes are enough for that, and what came before is published."""
    topic: Topic[str] = Topic("room")
    received = topic.subscribe()
    async with hosting(publishing(topic), **server) as host, host.raw_client() as client:
        with little_memory(MEBIBYTE):
            await client.send(frame(TEXT, b"before"))
            await client.send(struct.pack("!BBQ", BINARY, 0x80 | 127, 2**62) + bytes(4))
            assert await client.read_close() == CloseCode.MESSAGE_TOO_BIG
            assert await host.endings.get() is None
    assert received.receive_nowait() == "before"
    assert received.lag == 0


@SERVERS
async def test_f6_a_frame_that_would_inflate_to_a_huge_one_is_refused(
    server: dict[str, Any],
) -> None:
    """It is inflated to no more than the largest message that is taken."""
    encoder = zlib.compressobj(wbits=-12)
    bomb = encoder.compress(bytes(50 * MEBIBYTE))
    bomb += encoder.flush(zlib.Z_SYNC_FLUSH)[:-4]
    topic: Topic[bytes] = Topic("room")
    async with (
        hosting(publishing(topic), **server) as host,
        host.raw_client("permessage-deflate") as client,
    ):
        with little_memory(8 * MEBIBYTE):
            await client.send(frame(BINARY | COMPRESSED, bomb))
            assert await client.read_close() == CloseCode.MESSAGE_TOO_BIG
            assert await host.endings.get() is None
    assert topic.published == 0


async def test_f7_who_sends_without_pause_is_slowed_down() -> None:
    """It is read as fast as it may send, the rest waits at its end, and another one is served."""
    burst, rate, size = 5, 20.0, 64 * 1024
    topic: Topic[str] = Topic("room")
    received = topic.subscribe()
    loop = asyncio.get_running_loop()
    flood = frame(TEXT, b"x" * size) * 512  # which would be read in no time, if it were
    handler = publishing(topic, rate=rate, burst=burst)
    async with (
        hosting(handler, close_timeout=0.1) as host,
        host.raw_client() as flooding,
        host.client() as other,
    ):
        with little_memory(8 * MEBIBYTE):
            begin = loop.time()
            sending = asyncio.ensure_future(flooding.send(flood))
            for _ in range(burst + 10):
                assert len(await received.receive()) == size
            assert loop.time() - begin > 9 / rate
            await other.send("other")
            while await received.receive() != "other":
                pass
            assert topic.published - 1 <= burst + rate * (loop.time() - begin)
            assert not sending.done()
        sending.cancel()
        await asyncio.wait([sending])


async def test_f7_who_has_sent_too_fast_is_let_go_when_it_leaves() -> None:
    """What it was not read for is not published at its rate for hours."""
    topic: Topic[str] = Topic("room")
    received = topic.subscribe()
    pings = {"ping_interval": 0.1, "ping_timeout": 0.1}  # nothing else is read from it
    async with hosting(publishing(topic, rate=0.01, burst=1), **pings) as host:
        async with host.raw_client() as flooding:
            await flooding.send(frame(TEXT, b"x") * 100)
            assert await received.receive() == "x"
        assert await host.endings.get() is None
    assert topic.published == 1


def test_f7_silence_saves_up_no_more_than_a_burst() -> None:
    """However long it was."""
    burst, rate = 2, 100.0
    allowance = Allowance(rate, burst)
    begin = monotonic()
    while monotonic() - begin < 0.05:  # which is five messages long
        pass
    at_once, begin = 0, monotonic()
    while not allowance.spend():
        at_once += 1
    assert at_once <= burst + rate * (monotonic() - begin)


async def test_f8_handshakes_that_never_end_are_bounded_in_time() -> None:
    """That is websockets' own `open_timeout`; meanwhile another client is served."""
    topic: Topic[str] = Topic("room")
    received = topic.subscribe()
    async with (
        hosting(publishing(topic), open_timeout=0.3) as host,
        AsyncExitStack() as connections,
    ):
        pending = [await asyncio.open_connection("127.0.0.1", host.port) for _ in range(50)]
        for _, writer in pending:
            connections.callback(writer.close)
            writer.write(b"GET / HTTP/1.1\r\n")
        async with host.client() as good:
            await good.send("served")
            assert await received.receive() == "served"
        for reader, _ in pending:
            with suppress(ConnectionResetError):
                await reader.read()  # ends with the connection


async def test_what_is_longer_than_it_may_be_is_not_published() -> None:
    """The limit of a topic can be smaller than that of the server."""
    topic: Topic[str] = Topic("room")
    async with (
        hosting(publishing(topic, max_size=3)) as host,
        host.raw_client() as client,
    ):
        await client.send(frame(TEXT, b"abc") + frame(TEXT, b"abcd"))
        assert await client.read_close() == CloseCode.MESSAGE_TOO_BIG
    assert topic.published == 1


async def test_what_cannot_be_decoded_is_not_published() -> None:
    """The client is told why."""
    topic: Topic[int] = Topic("room")
    async with (
        hosting(publishing(topic, decode=int)) as host,
        host.raw_client() as client,
    ):
        await client.send(frame(TEXT, b"1") + frame(TEXT, b"one"))
        _first, payload = await client.read_frame()
        assert int.from_bytes(payload[:2]) == CloseCode.INVALID_DATA
        assert b"invalid literal" in payload
    assert topic.published == 1


async def test_why_it_cannot_be_decoded_may_be_text_that_cannot_be_sent() -> None:
    """A lone surrogate is no character; the client is disconnected all the same."""

    def decode(_: object) -> int:
        raise ValueError("not a number: \ud800")

    topic: Topic[int] = Topic("room")
    async with (
        hosting(publishing(topic, decode=decode)) as host,
        host.raw_client() as client,
    ):
        await client.send(frame(TEXT, b"x"))
        _first, payload = await client.read_frame()
        assert int.from_bytes(payload[:2]) == CloseCode.INVALID_DATA
        assert payload[2:] == b"not a number: ?"


async def test_a_chat_goes_both_ways() -> None:
    """Everybody gets what anybody sends, until the topic ends."""
    topic: Topic[str] = Topic("room")

    async def handler(websocket: ServerConnection) -> None:
        async with relaying(topic, websocket):
            await publish_from(websocket, topic)

    async with hosting(handler) as host, host.client() as one, host.client() as other:
        await host.arrived.get(), await host.arrived.get()
        await one.send("hello")
        assert await one.recv() == await other.recv() == "hello"
        await other.send("hi")
        assert await one.recv() == await other.recv() == "hi"
        topic.close()
        await one.wait_closed()
        await other.wait_closed()
        assert {await host.endings.get(), await host.endings.get()} == {None}
