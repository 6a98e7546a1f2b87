"""One loop writes to all: each message is made once, and reaches each client once, in order."""

import asyncio
from contextlib import AsyncExitStack
from contextvars import ContextVar
from random import Random
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from driftline import Topic
from driftline._websockets.relay import fan_outs
from driftline.websockets import relay, serve_options, statistics
from loopback import all_live, hosting, read_all, relaying_to_all, until


async def test_a_message_is_encoded_once_for_all_clients() -> None:
    """Also for those that are behind a little, and come to it by themselves."""
    encoded = []

    def encode(value: int) -> str:
        encoded.append(value)
        return str(value)

    topic: Topic[int] = Topic("numbers", replay=1)
    topic.publish(1)
    async with (
        relaying_to_all(topic, encode=encode, replay=1) as host,
        host.client() as first,
        host.client() as second,
        host.client() as third,
    ):
        await all_live(3)
        topic.publish(2)
        topic.close()
        for client in (first, second, third):
            assert await read_all(client) == ["1", "2"]
    assert encoded == [1, 2]


async def test_what_is_published_at_once_is_sent_in_one_piece() -> None:
    """A pass takes all that there is, and each client is written to once."""
    topic: Topic[str] = Topic("numbers")
    async with relaying_to_all(topic) as host, host.client() as one, host.client() as other:
        await all_live(2)
        for number in range(100):
            topic.publish(str(number))
        for client in (one, other):
            assert [await client.recv() for _ in range(100)] == [str(n) for n in range(100)]
        [fan_out] = statistics()
        assert (fan_out.passes, fan_out.messages, fan_out.writes) == (1, 100, 2)
        assert fan_out.written == 2 * sum(2 + len(str(number)) for number in range(100))


async def test_with_a_window_what_is_published_within_it_is_sent_in_one_piece() -> None:
    """It begins with the first message."""
    topic: Topic[str] = Topic("numbers")
    async with relaying_to_all(topic, window=0.2) as host, host.client() as client:
        await all_live(1)
        begin = asyncio.get_running_loop().time()
        for number in range(5):
            topic.publish(str(number))
            for _ in range(10):
                await asyncio.sleep(0)
        assert [await client.recv() for _ in range(5)] == list("01234")
        assert asyncio.get_running_loop().time() - begin >= 0.19
        assert statistics()[0].passes == 1


async def test_who_comes_within_the_window_gets_what_came_after_it_and_nothing_twice() -> None:
    """F1 and F2: the head is ahead for as long as the window is."""
    topic: Topic[str] = Topic("numbers", replay=10)
    async with (
        hosting(
            lambda websocket: relay(
                topic,
                websocket,
                window=0.2,
                replay=int(websocket.request.path[1:]),  # type: ignore[union-attr]
            )
        ) as host,
        host.client("0") as first,
    ):
        await all_live(1)
        topic.publish("one")
        async with host.client("0") as second, host.client("10") as third:
            await until(lambda: len(statistics()[0].clients) == 3)
            topic.publish("two")
            topic.publish("three")
            topic.close()
            assert await read_all(first) == ["one", "two", "three"]
            assert await read_all(second) == ["two", "three"]
            assert await read_all(third) == ["one", "two", "three"]


async def test_who_comes_within_the_window_is_not_judged_by_what_the_window_holds() -> None:
    """F3, for one that stands where the head stands, and for one that is ahead of it."""
    topic: Topic[str] = Topic("numbers")
    numbers = [str(number) for number in range(50)]
    async with (
        relaying_to_all(topic, window=0.3, max_lag=5) as host,
        host.client() as first,
    ):
        await all_live(1)
        topic.publish("one")
        async with host.client() as second:
            await until(lambda: len(statistics()[0].clients) == 2)
            topic.publish("two")
            async with host.client() as third:
                await until(lambda: len(statistics()[0].clients) == 3)
                assert statistics()[0].passes == 0
                topic.publish_many(numbers)
                topic.close()
                assert await read_all(first) == ["one", "two", *numbers]
                assert await read_all(second) == ["two", *numbers]
                assert await read_all(third) == numbers


async def test_who_comes_within_the_window_is_told_what_cannot_be_sent() -> None:
    """F4, for one that was not live when the head met it."""
    topic: Topic[Any] = Topic("numbers")
    async with relaying_to_all(topic, window=0.2) as host, host.client() as first:
        await all_live(1)
        topic.publish("one")
        async with host.client() as second:
            await until(lambda: len(statistics()[0].clients) == 2)
            topic.publish(2)
            for client, messages in ((first, ["one"]), (second, [])):
                assert isinstance(await host.endings.get(), TypeError)
                assert await read_all(client) == messages


async def test_handlers_share_no_context() -> None:
    """The variables of the first would live as long as the last, and `encode` would see them."""
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    topic: Topic[int] = Topic("numbers")

    async def handler(websocket: ServerConnection) -> None:
        whose.set("the first one's")
        await relay(topic, websocket, encode=lambda _: whose.get())

    async with hosting(handler) as host, host.client() as client:
        await all_live(1)
        topic.publish(1)
        assert await client.recv() == "nobody's"


async def test_a_large_message_is_encoded_once_for_all_who_are_behind() -> None:
    """However large it is."""
    topic: Topic[int] = Topic("numbers", replay=1)
    encoded = []

    def encode(value: int) -> str:
        encoded.append(value)
        return "x" * 3 * 1024 * 1024

    topic.publish(1)
    async with (
        relaying_to_all(topic, encode=encode, replay=1) as host,
        host.client(max_size=None) as first,
        host.client(max_size=None) as second,
    ):
        for client in first, second:
            assert len(await client.recv()) == 3 * 1024 * 1024
    assert encoded == [1]


async def test_a_client_that_has_caught_up_is_not_written_to_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F1 and F2, with clients that look for themselves at any time, also in the middle of a pass.

    Those whose buffers were full for a moment do so.
    """
    monkeypatch.setattr("driftline._websockets.fan_out._SLICE", 2)
    topic: Topic[str] = Topic("numbers")
    async with relaying_to_all(topic, server=serve_options()) as host, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(host.client(compression=compression))
            for compression in [*[None] * 7, *["deflate"] * 3]
        ]
        await all_live(10)
        [fan_out] = fan_outs()
        choose = Random(0)
        for number in range(60):
            topic.publish(str(number))
            for _ in range(choose.randrange(8)):
                for client in fan_out.clients:
                    if client.live and choose.random() < 0.3:
                        fan_out.leave(client)
                        client.wake()
                await asyncio.sleep(0)
        topic.close()
        for websocket in clients:
            assert await read_all(websocket) == [str(number) for number in range(60)]


async def test_who_is_aborted_in_the_middle_of_a_pass_disturbs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two slices, whether it was written to already or not."""
    monkeypatch.setattr("driftline._websockets.fan_out._SLICE", 2)
    topic: Topic[str] = Topic("numbers")
    async with relaying_to_all(topic) as host, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(host.client()) for _ in range(12)]
        await all_live(12)
        [fan_out] = fan_outs()
        aborted: set[int] = set()
        for number in range(12):
            topic.publish(str(number))
            await until(lambda: fan_out._joining is not None)
            if number % 2:
                # The first slice was written to; one of it, or of the next.
                victim = list(fan_out._live[None])[number % 4].connection
                aborted.add(victim.remote_address[1])
                victim.transport.abort()
            await until(lambda: fan_out._joining is None)
        topic.close()
        assert len(aborted) == 6
        for client in clients:
            if client.local_address[1] not in aborted:
                assert await read_all(client) == [str(number) for number in range(12)]


async def test_d6_what_one_message_wakes_at_once_is_not_done_in_one_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is a fan-out for each way to encode, as there is for each set of patterns."""
    monkeypatch.setattr("driftline._websockets.pace._ENOUGH", 0.0)  # so that any work is
    topic: Topic[str] = Topic("numbers", replay=1)
    turns = 0
    encoded_in: list[int] = []

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def handler(websocket: ServerConnection) -> str:
        def encode(value: str) -> str:
            encoded_in.append(turns)
            return value

        return await relay(topic, websocket, encode=encode, replay=1)

    async with hosting(handler) as host, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(host.client()) for _ in range(10)]
        await until(lambda: sum(len(each.clients) - each.behind for each in statistics()) == 10)
        counting = asyncio.ensure_future(count_turns())
        topic.publish("large")
        assert [await client.recv() for client in clients] == ["large"] * 10
        topic.close()
        counting.cancel()
    assert len(set(encoded_in)) == 10
