"""Clients that take nothing, or are gone: each is cut off in its time, and the others get all."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Topic
from driftline._websockets.relay import fan_outs
from driftline.websockets import relay, statistics
from loopback import Host, RawClient, all_live, hosting, read_all, relaying_to_all, until

LARGE = "x" * 64 * 1024
ENOUGH = 40  # of them, which no buffer takes: the client is behind
PATIENCE = 0.4
FOREVER = 60.0
KEPT = 512 * 1024
"""Bytes that the server has at most for a client that reads nothing."""

NO_PINGS = {"ping_interval": None}


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give who is cut off less time to take the frame that says so."""
    monkeypatch.setattr("driftline._websockets.client._GRACE", PATIENCE / 4)
    monkeypatch.setattr("driftline._websockets.client._TICK", PATIENCE / 4)


@asynccontextmanager
async def a_stalled_client(host: Host) -> AsyncIterator[tuple[RawClient, ServerConnection]]:
    """Have a client that shakes hands, and then reads nothing."""
    async with host.raw_client() as client:
        yield client, await host.arrived.get()


def is_behind() -> bool:
    """Whether there is a client that does not keep up."""
    return any(fan_out.behind for fan_out in statistics())


async def is_cut_off(client: RawClient, connection: ServerConnection) -> None:
    """Wait until the server has ended the connection, and see that the client notices."""
    await connection.wait_closed()
    await client.read_to_end()


@pytest.mark.parametrize(
    "limits",
    [
        {"patience": PATIENCE},
        {"patience": FOREVER, "max_lag": 10},
        {"patience": FOREVER, "max_lag_seconds": PATIENCE},
        {"patience": FOREVER, "max_lag_bytes": 10 * len(LARGE)},
    ],
    ids=lambda limits: list(limits)[-1],
)
async def test_f1_who_never_reads_is_cut_off_within_its_limits(limits: dict[str, Any]) -> None:
    """It is noticed although nothing more is published, and another client gets everything."""
    topic: Topic[str] = Topic("news", sizeof=len)
    async with relaying_to_all(topic, server=NO_PINGS, **limits) as host:  # noqa: SIM117
        async with host.client(max_queue=None) as good, a_stalled_client(host) as (bad, _):
            connection = await host.arrived.get()
            for _ in range(ENOUGH):
                topic.publish(LARGE)
                assert await good.recv() == LARGE
            assert await host.endings.get() == "too slow"
            await is_cut_off(bad, connection)
            topic.publish("last")
            assert await good.recv() == "last"


async def test_f1_who_is_cut_off_is_told_at_once_and_the_kernel_keeps_nothing_for_it() -> None:
    """Although it takes nothing. The end of a connection would otherwise wait behind the rest."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic, server=NO_PINGS, patience=PATIENCE) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (bad, _):
            for _ in range(ENOUGH):
                topic.publish(LARGE)
            assert await host.endings.get() == "too slow"
            poll = select.poll()
            poll.register(bad.socket, 0)  # nothing but its end
            [(_, event)] = await asyncio.to_thread(poll.poll, 5000)
            assert event & (select.POLLHUP | select.POLLERR)


async def test_f1_what_is_kept_for_those_who_never_read_is_bounded() -> None:
    """Nothing is written to them any more, however much is published."""
    topic: Topic[str] = Topic("news", limit=ENOUGH)
    async with (
        relaying_to_all(topic, server=NO_PINGS, on_lag="skip") as host,
        a_stalled_client(host),
        a_stalled_client(host),
    ):
        for _ in range(10 * ENOUGH):
            topic.publish(LARGE)
            await asyncio.sleep(0)
        await until(is_behind)
        [fan_out] = statistics()
        assert fan_out.behind == 2
        assert 0 < fan_out.unsent <= 2 * KEPT


async def test_f1_who_catches_up_is_written_to_in_pieces() -> None:
    """However much there is, the rest stays in the topic, and little of it in the kernel."""
    topic: Topic[str] = Topic("news", replay=1000)
    topic.publish_many(["x" * 4096] * 1000)
    async with (
        relaying_to_all(topic, server=NO_PINGS, replay=1000) as host,
        a_stalled_client(host),
    ):
        await until(lambda: any(fan_out.unsent for fan_out in statistics()))
        [fan_out] = statistics()
        assert fan_out.unsent <= KEPT
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # or else the kernel takes what it likes
            assert fan_out.written <= KEPT


async def test_f1_who_reads_slowly_is_not_cut_off() -> None:
    """It has taken something within its patience, each time."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic, server=NO_PINGS, patience=PATIENCE) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (client, _):
            loop = asyncio.get_running_loop()
            for _ in range(ENOUGH):
                topic.publish(LARGE)
            await until(is_behind)
            begin = loop.time()
            while loop.time() < begin + 3 * PATIENCE:
                await client.read(1024)
                await asyncio.sleep(PATIENCE / 50)  # its pace
            assert host.endings.empty()


async def test_f2_who_never_reads_is_cut_off_while_its_connection_is_being_closed() -> None:
    """websockets itself would wait for it as long as it takes."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic, server=NO_PINGS, patience=PATIENCE) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (bad, connection):
            for _ in range(ENOUGH):
                topic.publish(LARGE)
            await until(is_behind)
            await connection.close()
            assert await host.endings.get() == "too slow"
            await is_cut_off(bad, connection)


async def test_f2_who_never_reads_is_cut_off_when_the_topic_has_ended() -> None:
    """There is no end for it, because it has not got everything."""
    topic: Topic[str] = Topic("news")
    async with relaying_to_all(topic, server=NO_PINGS, patience=PATIENCE) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (bad, connection):
            for _ in range(ENOUGH):
                topic.publish(LARGE)
            await until(is_behind)
            topic.close()
            assert await host.endings.get() == "too slow"
            await is_cut_off(bad, connection)


async def test_f2_who_never_reads_is_cut_off_after_the_handler_returned() -> None:
    """Patience goes on where the server waits for the client to take what is unsent."""
    topic: Topic[str] = Topic("news")

    async def handler(websocket: ServerConnection) -> None:
        relaying = asyncio.ensure_future(relay(topic, websocket, patience=PATIENCE))
        await left.wait()
        relaying.cancel()
        await asyncio.wait([relaying])

    left = asyncio.Event()
    async with hosting(handler, **NO_PINGS) as host, a_stalled_client(host) as (bad, connection):
        await until(lambda: bool(topic.subscriptions()))
        for _ in range(ENOUGH):
            topic.publish(LARGE)
        await until(is_behind)
        left.set()
        assert await host.endings.get() is None
        await is_cut_off(bad, connection)


async def test_f3_a_peer_that_vanished_is_found_by_pings() -> None:
    """Nothing is published, and no answer comes."""
    pings = {"ping_interval": PATIENCE, "ping_timeout": PATIENCE, "close_timeout": PATIENCE}
    async with relaying_to_all(Topic("news"), server=pings, patience=FOREVER) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (bad, connection):
            assert await host.endings.get() == "gone"
            await is_cut_off(bad, connection)


async def test_f3_a_peer_that_vanished_is_found_by_what_it_does_not_take() -> None:
    """Pings do not find it: they wait behind what is unsent."""
    topic: Topic[str] = Topic("news")
    pings = {"ping_interval": PATIENCE / 4, "ping_timeout": PATIENCE / 4}
    async with relaying_to_all(topic, server=pings, patience=PATIENCE) as host:  # noqa: SIM117
        async with a_stalled_client(host) as (bad, connection):
            topic.publish(LARGE * ENOUGH)
            assert await host.endings.get() == "too slow"
            await is_cut_off(bad, connection)


async def test_f4_who_fails_in_the_middle_disturbs_no_other() -> None:
    """One is reset, one aborted before it is written to; a third and a fourth get everything."""
    topic: Topic[str] = Topic("news")
    async with (
        relaying_to_all(topic) as host,
        host.client() as first,
        host.raw_client() as reset,
        host.raw_client(),
        host.client() as last,
    ):
        connections = [await host.arrived.get() for _ in range(4)]
        await all_live(4)
        topic.publish("one")
        assert await first.recv() == "one"
        reset.reset()
        connections[2].transport.abort()
        topic.publish("two")
        assert {await host.endings.get(), await host.endings.get()} == {"gone"}
        topic.publish("three")
        topic.close()
        assert await read_all(first) == ["two", "three"]
        assert await read_all(last) == ["one", "two", "three"]


async def test_f4_who_cannot_be_written_to_disturbs_no_other() -> None:
    """Its connection raises, which happens when it was lost and does not know it yet."""
    topic: Topic[str] = Topic("news")

    def fail(data: bytes) -> None:
        raise RuntimeError(f"closed, and no place for {data!r}")

    async with (
        relaying_to_all(topic) as host,
        host.client() as first,
        host.raw_client() as bad,
        host.client() as last,
    ):
        await all_live(3)
        [fan_out] = fan_outs()
        _, failing, _ = fan_out.clients
        failing.write = fail
        topic.publish("one")
        topic.publish("two")
        assert [await first.recv(), await first.recv()] == ["one", "two"]
        bad.reset()
        assert await host.endings.get() == "gone"
        topic.publish("three")
        topic.close()
        assert await read_all(first) == ["three"]
        assert await read_all(last) == ["one", "two", "three"]
