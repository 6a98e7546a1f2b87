"""The stream that goes on after a reload, over real WebSockets."""

import asyncio
import json
from typing import Any

import pytest
from examples.token_stream.server import Answers, open_answers
from websockets.asyncio.client import ClientConnection, connect
from websockets.sync.client import connect as connect_blocking

from driftline import Topic
from serving import run, serving, title_of, url_of

pytestmark = pytest.mark.once


async def frame_of(client: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await client.recv())
    return frame


async def words_of(client: ClientConnection) -> list[str]:
    return [json.loads(each)["word"] async for each in client]


def test_who_comes_back_gets_the_rest_and_nothing_twice_also_when_it_is_complete() -> None:
    async def main() -> None:
        more, over = asyncio.Event(), asyncio.Event()

        async def generate(answer: Topic[str]) -> None:
            answer.publish_many(["to", "be", "or"])
            await more.wait()
            answer.publish_many(["not", "to", "be"])
            await over.wait()

        async with open_answers(Answers(generate), "127.0.0.1", 0) as server:
            url = url_of(server) + "hamlet"
            async with connect(url) as client:
                first = await frame_of(client)
                assert (first["goes_on"], first["before"]) == (False, 0)
                assert await frame_of(client) == {"seq": 1, "word": "to"}
                assert await frame_of(client) == {"seq": 2, "word": "be"}
            more.set()  # while nobody is there
            since = f"{url}?since={first['epoch']}.2"
            async with connect(since) as client:
                assert await frame_of(client) == {**first, "goes_on": True, "before": 2}
                over.set()
                assert await words_of(client) == ["or", "not", "to", "be"]
                assert client.close_code == 1000
            async with connect(since) as client:
                assert (await frame_of(client))["goes_on"]
                assert await words_of(client) == ["or", "not", "to", "be"]

    run(main())


def test_who_cannot_go_on_begins_anew_and_is_told_how_many_words_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("examples.token_stream.server.REPLAYED", 2)

    async def generate(answer: Topic[str]) -> None:
        answer.publish_many("abcde")

    async def main() -> None:
        async with open_answers(Answers(generate), "127.0.0.1", 0) as server:
            url = url_of(server) + "letters"
            async with connect(url) as client:
                epoch = (await frame_of(client))["epoch"]
                await client.wait_closed()
            for lost in f"{epoch}.1", "AAAAAAAA.4", "none":
                async with connect(f"{url}?since={lost}") as client:
                    anew = {"epoch": epoch, "goes_on": False, "before": 3}
                    assert await frame_of(client) == anew
                    assert await words_of(client) == ["d", "e"]

    run(main())


def test_the_program_counts_and_ends_by_control_c() -> None:
    with serving("token_stream.server") as (program, page):
        assert title_of(page) == "driftline tokens"
        with connect_blocking(page.replace("http", "ws") + "1") as client:
            assert not json.loads(client.recv(20))["goes_on"]
            assert json.loads(client.recv(20)) == {"seq": 1, "word": "1 sheep, "}
            assert program.interrupt() == 0  # while it counts
