"""A slow client among fast ones: its lag grows in a burst, and is worked off in the quiet after."""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from examples.broadcast.client import connect_as, receive_all
from examples.broadcast.patterns import Driftline
from examples.broadcast.report import Received
from examples.broadcast.screen import Row, View, open_view
from examples.broadcast.server import PatternServer
from examples.broadcast.stamp import stamp
from examples.broadcast.stopping import stop_signals

PHASES = (("steady", 0.25, 150), ("burst", 0.25, 800), ("quiet", 0.5, 20))
"""Name, share of the time, and messages per second."""

SLOW_DELAY = 0.003  # seconds; together with its own work that makes some 250 messages per second

GRACE = 30  # seconds that the slow client has for the rest, on a machine busy with other things


def phase_at(elapsed: float, seconds: float) -> tuple[str, int]:
    """Name of the phase after ``elapsed`` of ``seconds``, and how many messages are due by then."""
    due = 0.0
    for name, share, rate in PHASES:
        within = min(elapsed, share * seconds)
        due += within * rate
        elapsed -= within
        if elapsed <= 0:
            return name, int(due)
    return "draining", int(due)


def line() -> str:
    """One line of real input: how busy this machine is."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()  # Windows has none
    return " ".join([time.strftime("%H:%M:%S"), "load", *(f"{value:.2f}" for value in load)])


async def publish_all(publish: Callable[[str], None], seconds: float) -> int:
    """Publish what is due every hundredth of a second; return how many messages that were."""
    start = time.monotonic()
    number = 0
    name = ""
    while name != "draining":
        name, due = phase_at(time.monotonic() - start, seconds)
        while number < due:
            number += 1
            publish(stamp(number, line()))
        await asyncio.sleep(0.01)
    return number


async def watch(
    view: View, pattern: Driftline, clients: Sequence[Received], seconds: float, worst: Counter[str]
) -> None:
    """Show every client's lag, as the server knows it, and note the worst, until cancelled."""
    start = time.monotonic()

    def look() -> None:
        elapsed = time.monotonic() - start
        lags = {name: (lag, age) for name, lag, age in pattern.lags()}
        for name, (lag, _) in lags.items():
            worst[name] = max(worst[name], lag)
        rows = [
            Row(each.name, each.messages, *lags.get(each.name, (None, None))) for each in clients
        ]
        view.show(elapsed, phase_at(elapsed, seconds)[0], pattern.topic.published, rows)

    try:
        while True:
            look()
            await asyncio.sleep(0.1)
    finally:
        look()


async def run(seconds: float) -> bool:
    """Run the demo; return whether every client received all that was published."""
    pattern = Driftline()
    server = PatternServer(pattern)
    clients = [*(Received(f"fast {number}") for number in (1, 2, 3)), Received("slow", slow=True)]
    worst = Counter[str]()
    async with server.listen("127.0.0.1", 0) as url:
        receiving = []
        for client in clients:
            websocket = await connect_as(url, client.name, slow=client.slow)
            delay = SLOW_DELAY if client.slow else 0
            receiving.append(asyncio.create_task(receive_all(websocket, client, delay=delay)))
        await server.wait_for_clients(len(clients))
        with open_view(sys.stdout) as view:
            showing = asyncio.create_task(watch(view, pattern, clients, seconds, worst))
            published = await publish_all(pattern.topic.publish, seconds)
            pattern.finish()
            await asyncio.wait(receiving, timeout=GRACE)
            showing.cancel()
            await asyncio.wait([showing])
    print(f"published {published}")
    for client in clients:
        verdict = "all, in order" if client.numbers == [*range(1, published + 1)] else "NOT ALL"
        behind = f"at most {worst[client.name]} behind"
        print(f"{client.name:8} received {client.messages}: {verdict}, {behind}")
    return all(client.numbers == [*range(1, published + 1)] for client in clients)


async def run_until_stopped(seconds: float) -> bool:
    """Run the demo, or stop at Ctrl-C."""
    with stop_signals() as stop:
        running = asyncio.create_task(run(seconds))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            running.cancel()
            await asyncio.wait([running])
            return True
        return await running


def main() -> int:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.broadcast.demo",
        description="One slow WebSocket client among three fast ones, and the lag of each.",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=12,
        metavar="S",
        help="how long to publish (default: %(default)s): a quarter steady, a quarter burst, then "
        "quiet; the demo ends when all clients have everything",
    )
    return 0 if asyncio.run(run_until_stopped(parser.parse_args().seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
