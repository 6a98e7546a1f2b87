"""The progress of a long job, on asyncio and on trio, over real WebSockets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
from examples.progress import on_asyncio
from examples.progress.job import STEPS, State, open_progress
from websockets.sync.client import connect as connect_blocking

from driftline import Topic
from serving import run, serving, title_of, url_of

pytestmark = pytest.mark.once


def state_of(frame: Any) -> tuple[int, int]:
    state: State = json.loads(frame)
    return state["done"], state["of"]


def publish(progress: Topic[State], *states: int) -> None:
    progress.publish_many({"done": done, "of": 100} for done in states)


async def look(connect: Callable[[str], Any], url: str, progress: Topic[State]) -> None:
    """Come late, see the newest state, and then what comes, and the end."""
    publish(progress, 1, 2, 3)
    async with connect(url) as client:
        assert state_of(await client.recv()) == (3, 100)
        publish(progress, 4)
        assert state_of(await client.recv()) == (4, 100)
        publish(progress, *range(5, 101))  # at once
        progress.close()
        last = [state_of(each) async for each in client][-1]
        assert last == (100, 100)
    async with connect(url) as client:  # when it is over
        assert [state_of(each) async for each in client] == [(100, 100)]


def test_on_asyncio_who_comes_late_sees_the_newest_state_and_then_what_comes() -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        progress = open_progress()
        async with on_asyncio.open_server(progress, 0) as server:
            await look(connect, url_of(server) + "progress", progress)

    run(main())


def test_on_trio_who_comes_late_sees_the_newest_state_and_then_what_comes() -> None:
    client = pytest.importorskip("websockets.trio.client", reason="came with 17.0")
    from examples.progress import on_trio

    async def main() -> None:
        progress = open_progress()
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                server = await on_trio.open_server(nursery, progress, 0)
                port = server.listeners[0].socket.getsockname()[1]
                await look(client.connect, f"ws://127.0.0.1:{port}/progress", progress)
                nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_the_program_works_and_ends_by_control_c(loop: str) -> None:
    if loop == "trio":
        pytest.importorskip("websockets.trio.server", reason="came with 17.0")
    with serving(f"progress.on_{loop}") as (program, page):
        assert title_of(page) == "driftline progress"
        with connect_blocking(page.replace("http", "ws") + "progress") as client:
            done, of = state_of(client.recv(20))
            assert (state_of(client.recv(20)), of) == ((done + 1, STEPS), STEPS)
            assert program.interrupt() == 0  # while it works
