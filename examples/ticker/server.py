"""A ticker: each client gets the newest price of each symbol, as often as it can take it.

A slow client does not get old prices late; what it had no time for is passed over and counted.
"""

import argparse
import asyncio
import json
import random
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio import ClosedResourceError
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from driftline import Lagged, Topic
from driftline.websockets import disconnect

PAGE = Path(__file__).with_name("page.html")
PATIENCE = 20.0  # seconds in which a client must take a frame
SYMBOLS = ["ASH", "ELM", "FIR", "OAK", "YEW"]


class Market:
    """The prices as they are now, and a topic of their changes."""

    def __init__(self, limit: int = 100_000) -> None:
        self.prices = dict.fromkeys(SYMBOLS, 100.0)
        self.ticks = Topic[tuple[str, float]]("ticks", limit=limit)

    def trade(self, symbol: str, price: float) -> None:
        """Change a price."""
        self.prices[symbol] = price
        self.ticks.publish((symbol, price))

    async def trade_at_random(self) -> None:
        """Change prices about a thousand times a second."""
        while True:
            symbol = random.choice(SYMBOLS)
            self.trade(symbol, round(self.prices[symbol] * random.gauss(1, 0.0005), 2))
            await asyncio.sleep(0.001)


def show_page(websocket: ServerConnection, request: Request) -> Response | None:
    """Answer a browser that asks for the page; all other addresses are pauses."""
    if request.path != "/":
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8", "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, PAGE.read_bytes())


def read_pause(path: str) -> float:
    """Return the seconds between two frames that a client asks for."""
    with suppress(ValueError):
        if 0 <= (pause := float(path.strip("/"))) <= 1:
            return pause
    raise ValueError("ask for a pause of 0 to 1 seconds, such as /0.5")


def open_ticker(market: Market, host: str, port: int) -> Any:
    """Return a server, for `async with`."""

    async def send(websocket: ServerConnection, prices: dict[str, float], skipped: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await websocket.send(json.dumps({"prices": prices, "skipped": skipped}))
        except TimeoutError:  # or else it waits as long as the client likes
            await disconnect(websocket, 1013, "too slow")

    async def show(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        try:
            pause = read_pause(websocket.request.path)
        except ValueError as error:
            await websocket.close(1008, str(error))
            return
        with suppress(ConnectionClosed, ClosedResourceError), market.ticks.subscribe() as changes:
            gone = asyncio.create_task(websocket.wait_closed())
            gone.add_done_callback(lambda _: changes.close())  # or it waits for the next price
            while True:  # to begin with, and again after a gap
                changes.skip_to_latest()  # the table is as new
                await send(websocket, market.prices, changes.skipped)
                with suppress(Lagged):
                    async for ticks in changes.latest_by(lambda tick: tick[0]):
                        await send(websocket, dict(ticks.values()), changes.skipped)
                        await asyncio.sleep(pause)
                    return

    return serve(show, host, port, process_request=show_page)


async def run(host: str, port: int) -> None:
    """Serve until Ctrl-C."""
    market = Market()
    server: Server
    async with open_ticker(market, host, port) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"open http://{host}:{port}/ in a browser", flush=True)
        await market.trade_at_random()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="ticker", description="A ticker of prices.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8768)
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(run(options.host, options.port))


if __name__ == "__main__":
    main()
