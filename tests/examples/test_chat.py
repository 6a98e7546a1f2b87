"""The chat, with real clients."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any
from urllib.request import urlopen

import pytest
from examples.chat.server import open_chat
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from driftline import Bus

pytestmark = pytest.mark.once


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


async def say(websocket: ClientConnection, name: str, text: str) -> None:
    await websocket.send(json.dumps({"name": name, "text": text}))


async def hear(websocket: ClientConnection) -> tuple[str, str]:
    word = json.loads(await websocket.recv())
    return word["name"], word["text"]


def test_everybody_in_a_room_hears_and_who_comes_later_gets_the_last_words() -> None:
    async def main() -> None:
        with Bus(replay=20) as bus:
            async with open_chat(bus, "127.0.0.1", 0) as server:
                url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                async with connect(url + "/tea") as ada, connect(url + "/coffee") as cid:
                    await say(ada, "ada", "hello")
                    assert await hear(ada) == ("ada", "hello")
                    async with connect(url + "/tea") as bob:
                        assert await hear(bob) == ("ada", "hello")
                        await say(bob, "bob", "hello, ada")
                        for each in (ada, bob):
                            assert await hear(each) == ("bob", "hello, ada")
                        await say(cid, "cid", "alone")
                        assert await hear(cid) == ("cid", "alone")

    run(main())


@pytest.mark.parametrize(
    ("room", "word", "code", "reason"),
    [
        ("tea", "hello", 1007, "Expecting value"),
        ("tea", '["hello"]', 1007, "say {'name'"),
        ("tea", '{"name": "ada"}', 1007, "say {'name'"),
        ("tea", '{"name": 1, "text": "x"}', 1007, "say {'name'"),
        ("tea", "x" * 1001, 1009, "over 1000"),
        ("a..b", None, 1008, "chat.a..b"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_reason_says_why(
    room: str, word: str | None, code: int, reason: str
) -> None:
    async def main() -> None:
        with Bus(replay=20) as bus:
            async with open_chat(bus, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                async with connect(f"ws://127.0.0.1:{port}/{room}") as websocket:
                    if word is not None:
                        await websocket.send(word)
                    with pytest.raises(ConnectionClosed) as closed:
                        await websocket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == code
                assert reason in closed.value.rcvd.reason

    run(main())


def test_a_browser_gets_the_page() -> None:
    async def main() -> None:
        with Bus() as bus:
            async with open_chat(bus, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                page = await asyncio.to_thread(_get, f"http://127.0.0.1:{port}/")
                assert "<title>driftline chat</title>" in page

    run(main())


def _get(url: str) -> str:
    with urlopen(url, timeout=10) as response:
        page: bytes = response.read()
    return page.decode()
