"""Clients without manners: each is told so or cut off, and nobody else notices."""

import socket
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import anyio.lowlevel
import anyio.to_thread
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from driftline import Bus
from driftline._hub.backend import on_asyncio
from driftline.hub import Hub, Limits
from driftline.protocol import SUBPROTOCOL, Ping, Pong, Publish, Subscribe, write_request
from hubs import Client, RawClient, client_of, handshake, hub_of, raw_client_of, until
from loopback import BINARY, COMPRESSED, PING, TEXT, frame

pytestmark = pytest.mark.once

MEBIBYTE = 1024 * 1024
LARGE = "x" * 64 * 1024


@contextmanager
def little_memory(most: int) -> Iterator[None]:
    """Say that Python takes so many bytes at most meanwhile."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak < most, f"{peak:,}"
    finally:
        tracemalloc.stop()


@contextmanager
def one_line(caplog: pytest.LogCaptureFixture, ending: str) -> Iterator[None]:
    """Say that there is one line about it in the log."""
    caplog.set_level("INFO")
    yield
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.name == "driftline.hub" or record.levelname == "ERROR"
    ]
    assert len(lines) == 1, lines
    assert lines[0].endswith(ending)


def said(request: Any) -> bytes:
    """Frame what a raw client says."""
    text = write_request(request)
    return frame(TEXT, text.encode() if isinstance(text, str) else text)


async def is_served(client: Client, bus: Bus) -> None:
    """Say that a client that has subscribed to "good" still gets what is published there."""
    bus.publish("good", "still")
    assert await client.values(1) == ["still"]


def readers(bus: Bus) -> list[str | None]:
    return [each.name for each in bus.subscriptions() if each.name != "fan-out"]


@pytest.mark.parametrize(
    "fields", [{}, {"max_lag": 5, "on_lag": "close"}, {"keep": 60}], ids=["skip", "close", "keep"]
)
async def test_f1_who_never_reads_is_cut_off(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bus = Bus(limit=50)
    limits = Limits(patience=0.3)
    with one_line(caplog, "is cut off: too slow"):
        async with (
            hub_of(bus, limits=limits) as hub,
            client_of(hub) as good,
            raw_client_of(hub) as bad,
        ):
            await good.subscribe("good")
            await good.subscribe("large")
            await bad.send(said(Subscribe(patterns=("large",), name="bad", **fields)))
            await until(lambda: "bad" in readers(bus))
            with little_memory(16 * MEBIBYTE):
                for _ in range(100):
                    bus.publish("large", LARGE)
                    assert await good.values(1) == [LARGE]
                await until(lambda: "bad" not in readers(bus))
            await until(lambda: hub.connections == 1)
            await is_served(good, bus)


async def test_f1_who_asks_and_never_reads_the_answers_is_cut_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()
    limits = Limits(patience=0.3, rate=1e6, burst=1000, errors=10**6)
    with one_line(caplog, "is cut off: takes no answer"):
        async with (
            hub_of(bus, limits=limits) as hub,
            client_of(hub) as good,
            raw_client_of(hub) as bad,
            anyio.create_task_group() as tasks,
        ):
            await good.subscribe("good")
            # Each answer names what is subscribed to already.
            patterns = tuple(f"{number:0>250}" for number in range(32))
            asked = said(Subscribe(patterns=patterns)) * 10

            async def flood() -> None:
                with suppress(anyio.BrokenResourceError):
                    while True:
                        await bad.send(asked)

            tasks.start_soon(flood)
            await until(lambda: hub.connections == 2)
            await until(lambda: hub.connections == 1)
            await is_served(good, bus)


async def test_f1_who_reads_everything_and_takes_nothing_disturbs_nobody() -> None:
    bus = Bus(limit=20)
    limits = Limits(patience=0.3)
    async with (
        hub_of(bus, limits=limits) as hub,
        client_of(hub) as good,
        raw_client_of(hub) as bad,
    ):
        await good.subscribe("good")
        for number in range(20):
            await bad.send(said(Subscribe(patterns=(">", f"x.{number}"), keep=300)))
        await until(lambda: len(readers(bus)) == 41)
        with little_memory(32 * MEBIBYTE):
            for _ in range(100):
                bus.publish("good", LARGE)
                assert await good.values(1) == [LARGE]
            await until(lambda: hub.connections == 1)
        await is_served(good, bus)


async def test_f2_who_never_reads_is_cut_off_while_its_connection_is_being_closed() -> None:
    bus = Bus()
    limits = Limits(patience=1)
    async with (
        hub_of(bus, limits=limits) as hub,
        client_of(hub) as good,
        raw_client_of(hub) as bad,
    ):
        await good.subscribe("good")
        await bad.send(said(Subscribe(patterns=("large",))))
        await until(lambda: len(readers(bus)) == 2)
        bus.publish("large", LARGE * 100)
        await until(lambda: bus.topics()[-1].subscriptions[-1].lag == 0)
        begin = anyio.current_time()
        await bad.send(frame(TEXT, b"not JSON"))
        await until(lambda: hub.connections == 1)
        assert anyio.current_time() - begin < 5
        await is_served(good, bus)


async def test_f3_a_peer_that_vanished_is_found_by_pings() -> None:
    """Over loopback it is one that answers nothing."""
    bus = Bus()
    async with (
        hub_of(bus, limits=Limits(ping_seconds=0.2)) as hub,
        client_of(hub) as good,
        raw_client_of(hub) as bad,
    ):
        await good.subscribe("good")
        await bad.send(said(Subscribe(patterns=("quiet",))))
        await until(lambda: hub.connections == 2)
        begin = anyio.current_time()
        await until(lambda: hub.connections == 1)
        assert anyio.current_time() - begin < 8  # of which websockets would wait ten
        assert len(readers(bus)) == 1
        await is_served(good, bus)


async def test_f4_who_fails_in_the_middle_disturbs_no_other() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(hub)) for _ in range(3)]
        for client in clients:
            await client.subscribe("a.>")
        for number in range(300):
            bus.publish("a.b", [number, "x" * 5000])
            if number == 100:
                clients[1].abort()
        for client in clients[0], clients[2]:
            assert [value[0] for value in await client.values(300)] == [*range(300)]
        await until(lambda: hub.connections == 2)


async def test_f5_a_frame_that_claims_to_be_enormous_is_refused() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as good, raw_client_of(hub) as bad:
        await good.subscribe("good")
        with little_memory(4 * MEBIBYTE):
            await bad.send(struct.pack("!BBQ", BINARY, 0x80 | 127, 2**62) + bytes(4))
            assert await bad.read_close() == 1009
        await is_served(good, bus)


async def test_f5_messages_are_as_large_as_the_hub_allows() -> None:
    bus = Bus()
    async with (
        hub_of(bus, limits=Limits(message_bytes=1000)) as hub,
        client_of(hub) as good,
        client_of(hub) as bad,
    ):
        await good.subscribe("good")
        text = "x" * 900
        await bad.say(Publish(topic="good", value=text))
        assert await good.values(1) == [text]
        await bad.say(Publish(topic="good", value=text + text))
        assert await bad.ending() == 1009
        await is_served(good, bus)


async def test_f6_a_frame_that_would_inflate_to_a_huge_one_is_refused() -> None:
    encoder = zlib.compressobj(wbits=-12)
    bomb = encoder.compress(bytes(50 * MEBIBYTE))
    bomb += encoder.flush(zlib.Z_SYNC_FLUSH)[:-4]
    bus = Bus()
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with (
        hub_of(bus) as hub,
        client_of(hub) as good,
        raw_client_of(hub, headers=extension) as bad,
    ):
        await good.subscribe("good")
        with little_memory(16 * MEBIBYTE):
            await bad.send(frame(BINARY | COMPRESSED, bomb))
            assert await bad.read_close() == 1009
        await is_served(good, bus)


async def test_f7_who_sends_pings_and_reads_no_answer_is_cut_off() -> None:
    """websockets answers them, however many of the answers are unsent.

    On trio none is unsent: there the client is read no more, and costs nothing more.
    """
    bus = Bus()
    limits = Limits(message_bytes=10_000)
    ping = b"\x89\xfd" + bytes(4) + bytes(125)
    async with (
        hub_of(bus, limits=limits) as hub,
        client_of(hub) as good,
        raw_client_of(hub) as bad,
        anyio.create_task_group() as tasks,
    ):
        await good.subscribe("good")

        async def flood() -> None:
            with suppress(anyio.BrokenResourceError):
                while True:
                    await bad.send(ping * 10)
                    await anyio.lowlevel.checkpoint()

        tasks.start_soon(flood)
        if on_asyncio():
            await until(lambda: hub.connections == 1)
        await is_served(good, bus)
        tasks.cancel_scope.cancel()


async def test_f4_who_sends_many_pings_and_vanishes_leaves_no_line_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """asyncio would say of each answer that it could not be sent."""
    bus = Bus()
    async with hub_of(bus) as hub:
        await anyio.to_thread.run_sync(ping_and_vanish, hub.port)
        await until(lambda: hub.connections == 0)
    assert len(caplog.records) < 5


def ping_and_vanish(port: int) -> None:
    """Do so in a thread, while the hub is in the middle of answering."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(handshake("/", "", "127.0.0.1", SUBPROTOCOL))
        client.recv(8192)
        client.sendall(frame(PING, b"") * 100_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_f7_a_large_frame_counts_as_many() -> None:
    """With sixteen times 16 KiB, the second has to wait for a second."""
    bus = Bus()
    here = bus.subscribe("large")
    limits = Limits(rate=16.0, burst=17)
    async with hub_of(bus, limits=limits) as hub, client_of(hub) as client:
        for _ in range(3):
            await client.say(Publish(topic="large", value="x" * 256 * 1024))
        begin = anyio.current_time()
        for _ in range(3):
            assert len(await here.receive()) == 256 * 1024
        assert 1 < anyio.current_time() - begin < 3


async def test_f7_who_sends_without_pause_is_slowed_down() -> None:
    bus = Bus()
    here = bus.subscribe("flood")
    rate, burst = 20.0, 5
    flood = said(Publish(topic="flood", value="x" * 1000)) * 100
    async with (
        hub_of(bus, limits=Limits(rate=rate, burst=burst)) as hub,
        client_of(hub) as good,
        raw_client_of(hub) as bad,
        anyio.create_task_group() as tasks,
    ):
        await good.subscribe("good")
        sent = False

        async def send() -> None:
            nonlocal sent
            for _ in range(100):
                await bad.send(flood)
            sent = True

        with little_memory(4 * MEBIBYTE):
            begin = anyio.current_time()
            tasks.start_soon(send)
            for _ in range(burst + 4):
                assert len(await here.receive()) == 1000
            assert anyio.current_time() - begin > 3 / rate
            await is_served(good, bus)
            assert bus.topic("flood").published <= burst + rate * (anyio.current_time() - begin) + 1
        assert not sent
        tasks.cancel_scope.cancel()


async def test_f8_there_are_as_many_connections_as_there_may_be() -> None:
    bus = Bus()
    refused = 0
    async with (
        hub_of(bus, limits=Limits(connections=3)) as hub,
        client_of(hub) as good,
        anyio.create_task_group() as tasks,
    ):
        await good.subscribe("good")
        over = anyio.Event()

        async def connect() -> None:
            nonlocal refused
            try:
                async with client_of(hub) as client:
                    with suppress(ConnectionClosed):
                        await client.ask(Ping())
                        await over.wait()
                    refused += client.websocket.close_code == 1013
            except (InvalidStatus, BaseExceptionGroup) as error:
                refused += "503" in repr(error)

        for _ in range(10):
            tasks.start_soon(connect)
        await until(lambda: refused == 8)
        assert hub.connections == 3
        with pytest.raises((InvalidStatus, BaseExceptionGroup)):
            await connect_once(hub)
        await is_served(good, bus)
        over.set()
    async with (
        hub_of(bus, limits=Limits(connections=1)) as hub,
        raw_client_of(hub),
        raw_client_of(hub, refused=b" 503 "),
    ):
        pass


async def connect_once(hub: Hub) -> None:
    async with client_of(hub):
        pass


async def test_f8_handshakes_that_never_end_are_bounded_in_time() -> None:
    bus = Bus()
    async with (
        hub_of(bus, limits=Limits(handshake_seconds=1.0)) as hub,
        client_of(hub) as good,
        AsyncExitStack() as stack,
    ):
        await good.subscribe("good")
        begun = []
        for _ in range(50):
            stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", hub.port))
            await stream.send(b"GET / HTTP/1.1\r\nHost: ")
            begun.append(RawClient(stream))
        await is_served(good, bus)
        for client in begun:
            await client.read_to_end()
        await is_served(good, bus)


async def test_f11_a_client_has_as_many_subscriptions_as_it_may() -> None:
    bus = Bus()
    async with (
        hub_of(bus, limits=Limits(subscriptions=3)) as hub,
        client_of(hub) as good,
        client_of(hub) as bad,
    ):
        await good.subscribe("good")
        for number in range(100):
            answer = await bad.ask(Subscribe(patterns=(f"a.{number}",), keep=60, id=number))
            assert answer.id == number
            assert number < 3 or answer.code == "too-many"
        assert len(readers(bus)) == 1 + 2 * 3
        await is_served(good, bus)


async def test_f11_topics_that_nobody_holds_are_not_kept() -> None:
    bus = Bus(max_topics=50)
    async with hub_of(bus) as hub, client_of(hub) as good, client_of(hub) as bad:
        await good.subscribe("good")
        for number in range(500):
            await bad.say(Publish(topic=f"a.{number}", value=1))
        assert await bad.ask(Ping()) == Pong()
        assert len(bus.topics()) <= 50
        await is_served(good, bus)


async def test_a_number_that_is_too_large_reaches_nobody() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as good, client_of(hub) as bad:
        await good.subscribe("good")
        await bad.say('{"type": "publish", "topic": "good", "value": [1e999]}')
        assert await bad.ending() == 1007
        await is_served(good, bus)


async def test_a_value_of_great_depth_reaches_others_in_some_form() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as good, client_of(hub) as bad:
        await good.subscribe("good")
        for depth in range(50, 1000, 50):
            deep = "[" * depth + "]" * depth
            await bad.say('{"type": "publish", "topic": "good", "value": ' + deep + "}")
            if (await bad.ask(Ping())) != Pong():
                break
            await good.hear()
        await is_served(good, bus)


async def test_bytes_that_are_no_frames_end_the_connection() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as good:
        await good.subscribe("good")
        for wrong, code in (
            (frame(TEXT, b"\xff\xfe"), 1007),
            (frame(0x83, b""), 1002),
            (b"\x81\x01x", 1002),  # not masked
        ):
            async with raw_client_of(hub) as bad:
                await bad.send(wrong)
                assert await bad.read_close() == code
        await until(lambda: hub.connections == 1)
        await is_served(good, bus)


async def test_others_run_between_the_requests_of_one_client() -> None:
    """Also if some hundred of them came in one piece."""
    turns = 0
    seen = []

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    def authorize(token: str | None, action: str, name: str) -> bool:
        seen.append(turns)
        return True

    async with (
        hub_of(Bus(), authorize=authorize) as hub,
        raw_client_of(hub) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(turn)
        await client.send(said(Publish(topic="a", value=1)) * 300)
        await until(lambda: len(seen) == 300)
        tasks.cancel_scope.cancel()
    assert len(set(seen)) > 100
