"""The ticker, over real WebSockets."""

import json
from typing import Any

import pytest
from examples.ticker.server import SYMBOLS, Market, open_ticker
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_blocking

from loopback import until
from serving import run, serving, stubborn, title_of, url_of

pytestmark = pytest.mark.once


async def frame_of(client: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await client.recv())
    return frame


def test_a_client_gets_the_table_and_then_the_newest_price_of_each_symbol() -> None:
    async def main() -> None:
        market = Market()
        async with (
            open_ticker(market, "127.0.0.1", 0) as server,
            connect(url_of(server) + "0") as ada,
        ):
            assert await frame_of(ada) == {"prices": dict.fromkeys(SYMBOLS, 100.0), "skipped": 0}
            for price in range(150):  # without waiting once, so that no client can follow
                market.trade("ASH", price)
                market.trade("ELM", -price)
            assert await frame_of(ada) == {"prices": {"ASH": 149, "ELM": -149}, "skipped": 298}
            market.trade("OAK", 7)
            assert await frame_of(ada) == {"prices": {"OAK": 7}, "skipped": 298}

    run(main())


def test_who_is_behind_the_limit_gets_the_whole_table_again() -> None:
    async def main() -> None:
        market = Market(limit=10)
        async with (
            open_ticker(market, "127.0.0.1", 0) as server,
            connect(url_of(server) + "0") as ada,
        ):
            assert len((await frame_of(ada))["prices"]) == 5
            market.trade("YEW", 1)  # once, and then it is cut off
            for price in range(100):
                market.trade("ASH", price)
            expected = {**dict.fromkeys(SYMBOLS, 100.0), "YEW": 1, "ASH": 99}
            assert (await frame_of(ada))["prices"] == expected

    run(main())


@pytest.mark.parametrize("path", ["soon", "-1", "1.1", "nan"])
def test_a_pause_that_makes_no_sense_is_refused_and_the_reason_says_why(path: str) -> None:
    async def main() -> None:
        async with (
            open_ticker(Market(), "127.0.0.1", 0) as server,
            connect(url_of(server) + path) as ada,
        ):
            with pytest.raises(ConnectionClosed) as closed:
                await ada.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert "0 to 1 seconds" in closed.value.rcvd.reason

    run(main())


def test_who_takes_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.ticker.server.PATIENCE", 0.1)

    async def main() -> None:
        market = Market()
        async with (
            open_ticker(market, "127.0.0.1", 0) as server,
            stubborn(url_of(server) + "0"),
        ):
            await until(lambda: len(market.ticks.subscriptions()) == 1)

            def left() -> bool:
                market.trade("x" * 100_000, 1.0)
                return not market.ticks.subscriptions()

            await until(left)

    run(main())


def test_the_program_trades_and_ends_by_control_c() -> None:
    with serving("ticker.server") as (program, page):
        assert title_of(page) == "driftline ticker"
        with connect_blocking(page.replace("http", "ws") + "0") as ada:
            assert set(json.loads(ada.recv(20))["prices"]) == set(SYMBOLS)
            assert set(json.loads(ada.recv(20))["prices"]) <= set(SYMBOLS)
            assert program.interrupt() == 0  # while somebody looks
