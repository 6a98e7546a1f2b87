"""Slow clients among fast ones: the lag of one grows and is worked off, the others choose less."""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from examples.broadcast.client import connect_as, receive_all
from examples.broadcast.patterns import Driftline, FanOut
from examples.broadcast.report import Received, account_table
from examples.broadcast.screen import Row, View, open_view
from examples.broadcast.server import PatternServer
from examples.broadcast.stamp import stamp
from examples.broadcast.stopping import stop_signals

INTRODUCTION = """\
A server publishes to one topic: steadily, then in a burst, then little. Each WebSocket client reads
the topic at its own pace; its lag is how many messages are published that it has not received.
Two clients are fast. The others are slow, and each has asked for another treatment:
  slow      nothing: it gets every message, late
  batches   every message too, but many in one frame, so that it keeps up
  skip      when it is more than 100 behind, it goes on 100 behind; what it misses is counted
  raise     the same, and it is told of each gap when it comes there
  latest    when it is more than 100 behind, it goes on with the newest message
  newest    always the newest message; it skips those before
  close     when it is more than 100 behind, it is disconnected
"""

SLOW = {
    "slow": "",
    "batches": "read=batches",
    "skip": "on_lag=skip&max_lag=100",
    "raise": "on_lag=raise&max_lag=100",
    "latest": "on_lag=latest&max_lag=100",
    "newest": "read=latest",
    "close": "on_lag=close&max_lag=100",
}
"""Name of each slow client, and what it asks for."""

LIMIT = 100_000  # messages; no matter how slow the clients are, the topic keeps no more

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
        subscriptions = {each.name: each for each in pattern.topic.subscriptions()}
        rows = []
        for client in clients:
            lag = seconds_behind = lost = None
            if subscription := subscriptions.get(client.name):
                lag, seconds_behind = subscription.lag, subscription.lag_seconds
                lost = subscription.missed + subscription.skipped
                worst[client.name] = max(worst[client.name], lag)
            elif client.account:
                lost = client.account.missed + client.account.skipped
            rows.append(Row(client.name, client.asked, client.messages, lag, seconds_behind, lost))
        view.show(elapsed, phase_at(elapsed, seconds)[0], pattern.topic.published, rows)

    try:
        while True:
            look()
            await asyncio.sleep(0.1)
    finally:
        look()


async def run(seconds: float) -> bool:
    """Run the demo; return whether everything adds up, and arrived in order."""
    print(INTRODUCTION, flush=True)
    pattern = FanOut(LIMIT)
    server = PatternServer(pattern)
    clients = [Received("fast 1"), Received("fast 2")]
    clients += [Received(name, asked, slow=True) for name, asked in SLOW.items()]
    worst = Counter[str]()
    async with server.listen("127.0.0.1", 0) as url:
        receiving = []
        for client in clients:
            address = f"{url}?{client.asked}" if client.asked else url
            websocket = await connect_as(address, client.name, slow=client.slow)
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
    print(f"\npublished {published}; slow was at most {worst['slow']} behind\n")
    for text in account_table(clients):
        print(text)
    return all(client.adds_up and not client.disordered for client in clients)


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
        description=INTRODUCTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
