"""The log in the browser, over real WebSockets."""

import json
from typing import Any

import pytest
from examples.log_viewer.server import REMEMBERED, open_viewer
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_blocking

from driftline import Topic
from loopback import until
from serving import run, serving, stubborn, title_of, url_of

pytestmark = pytest.mark.once


def test_who_comes_later_gets_the_last_lines_and_then_what_comes() -> None:
    async def main() -> None:
        log = Topic[str]("log", replay=REMEMBERED)
        log.publish_many(["one", "two"])
        async with open_viewer(log, "127.0.0.1", 0) as server, connect(url_of(server) + "l") as ada:
            assert json.loads(await ada.recv()) == {"line": "one"}
            log.publish('<b> "three"')
            log.close()
            rest = [json.loads(each) async for each in ada]
            assert rest == [{"line": "two"}, {"line": '<b> "three"'}]
            assert ada.close_code == 1000

    run(main())


def test_a_slow_viewer_is_told_what_it_skipped_and_another_gets_every_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("examples.log_viewer.server.REMEMBERED", 10)

    async def main() -> None:
        log = Topic[str]("log", limit=50, replay=10)
        async with (
            open_viewer(log, "127.0.0.1", 0) as server,
            connect(url_of(server) + "l", compression=None) as fast,
            stubborn(url_of(server) + "l") as slow,
        ):
            await until(lambda: len(log.subscriptions()) == 3)  # theirs, and that of the fan-out
            for number in range(600):
                log.publish(f"{number:03}" + "x" * 20_000)
                assert json.loads(await fast.recv())["line"][:3] == f"{number:03}"
            log.close()
            place, told = 0, 0
            async for frame in slow:
                seen: dict[str, Any] = json.loads(frame)
                if "missed" in seen:
                    told += seen["missed"]
                    place += seen["missed"]
                else:
                    assert int(seen["line"][:3]) == place
                    place += 1
            assert place == 600
            assert told > 0

    run(main())


def test_the_program_shows_its_input_and_ends_by_control_c() -> None:
    with serving("log_viewer.server") as (program, page):
        assert title_of(page) == "driftline log"
        program.write(b"caf\xe9\n")
        with connect_blocking(page.replace("http", "ws") + "lines") as ada:
            assert json.loads(ada.recv(20)) == {"line": "caf\ufffd"}
            program.write(b"tea\n")
            assert json.loads(ada.recv(20)) == {"line": "tea"}
            assert program.interrupt() == 0  # while somebody looks
