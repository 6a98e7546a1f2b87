"""A WebSocket server that broadcasts lines of real input in one of eight ways."""

import argparse
import asyncio
import socket
import sys
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from driftline import Topic
from examples.broadcast.lines import follow_lines, publish_from_thread, read_lines
from examples.broadcast.patterns import PATTERNS, Driftline, Pattern
from examples.broadcast.stamp import stamp
from examples.broadcast.stopping import stop_signals

EXAMPLES = """\
examples:
  ping localhost | python -m examples.broadcast.server driftline
      every client gets every line; the lag of each client is printed once a second
  python -m examples.broadcast.server driftline --follow /var/log/syslog
      the lines of a file while it is written, as tail -F shows them
  seq 100000 | python -m examples.broadcast.server naive --timestamp --wait-for 4
      reads nothing before 4 clients are there, so that all see the same lines; compare with
      another pattern:  python -m examples.broadcast.client ws://127.0.0.1:8765 --clients 4 --slow 1

A client gives itself a name in the path:  ws://127.0.0.1:8765/ada
With driftline or fan-out it also chooses, in the query, what happens when it is slow:
  ?on_lag=skip&max_lag=100     it goes on 100 messages behind; what it misses is counted
  ?on_lag=raise&max_lag=100    the same, and a message of its own tells it how many it missed
  ?on_lag=latest&max_lag=100   it goes on with the newest message
  ?on_lag=close&max_lag=100    it is disconnected, with code 1013
  ?read=batches                it gets all that is ready, up to 100 messages, in one frame
  ?read=latest                 it gets the newest message each time, and skips those before
on_lag goes with each read. Without max_lag only --limit holds; without on_lag it is raise.
When the server closes, it says what each client received, missed and skipped.
"""

LIMIT = 100_000  # messages


class PatternServer:
    """Serves WebSocket clients by one pattern."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._arrived = 0
        self._arrival = asyncio.Condition()
        self._connections = weakref.WeakSet[ServerConnection]()
        self._server: Server | None = None

    @asynccontextmanager
    async def listen(self, host: str, port: int) -> AsyncIterator[str]:
        """Accept clients, at the URL that is yielded, until the end of the block.

        Whoever is still connected then is told that the server goes away, and cut off if it does
        not answer within a second.
        """
        self._server = server = await serve(
            self._handle,
            host,
            port,
            compression=None,  # for short lines it costs more than all the rest
            write_limit=4096,  # bytes: lag shall be seen, not hidden in buffers
            close_timeout=30,  # seconds: a slow client first reads what is on its way
        )
        try:
            address, chosen_port = server.sockets[0].getsockname()[:2]
            yield f"ws://{f'[{address}]' if ':' in address else address}:{chosen_port}"
        finally:
            server.close()
            await asyncio.wait([asyncio.create_task(server.wait_closed())], timeout=1)
            # A connection that is not read can block a polite close() for ever: abort it.
            remaining = [each for each in self._connections if each.state is not State.CLOSED]
            if remaining:
                print(f"cut off {len(remaining)} clients that were not done", file=sys.stderr)
            for websocket in remaining:
                websocket.transport.abort()
            await server.wait_closed()

    async def wait_for_clients(self, count: int) -> None:
        """Wait until ``count`` clients have arrived and have their place."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: self._arrived >= count)

    async def wait_until_done(self) -> None:
        """Refuse new clients, and wait until those here have everything that was broadcast."""
        assert self._server is not None, "listen() comes first"
        self._server.close(close_connections=False)
        await self._server.wait_closed()

    async def _handle(self, websocket: ServerConnection) -> None:
        _keep_little_in_the_kernel(websocket)
        self._connections.add(websocket)
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = tasks.create_task(_listen_until_gone(websocket))
                async with self._arrival:
                    self._arrived += 1
                    self._arrival.notify_all()
                # Nothing waits between the notification and serve(), which takes the client's
                # place before it waits: whoever waits for clients finds them in place.
                await self.pattern.serve(websocket)
                listener.cancel()
        except* (ConnectionClosed, _Leaves):
            pass


class _Leaves(Exception):
    """The client asks to be closed, for a driftline client is told then what it did not get."""


async def _listen_until_gone(websocket: ServerConnection) -> None:
    """Raise `ConnectionClosed` when the client is gone, however quiet it was, or `_Leaves`."""
    while await websocket.recv() != "leave":
        pass
    raise _Leaves


def _keep_little_in_the_kernel(websocket: ServerConnection) -> None:
    """Else the kernel takes megabytes for a client that reads nothing, and its lag looks like 0."""
    connection = websocket.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # Linux and macOS: hides some hundred lines less
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 4096)


async def broadcast_lines(pattern: Pattern, lines: Iterable[str], ended: asyncio.Event) -> None:
    """Broadcast ``lines``, read in a thread, until they end; ``ended`` is set when all are read.

    The input is a topic, too: what arrives while a pattern waits for a slow client waits there.
    """
    loop = asyncio.get_running_loop()
    topic = Topic[str]("lines")

    def tell() -> None:
        with suppress(RuntimeError):  # the loop has ended before the input
            loop.call_soon_threadsafe(ended.set)

    with topic.subscribe(name="broadcast") as reader:
        publish_from_thread(lines, topic, reader, tell)
        async for line in reader:
            await pattern.broadcast(line)
    pattern.finish()


async def print_lags(pattern: Pattern, every: float) -> None:
    """Print the lag of each client, the worst first, as long as there are clients."""
    while True:
        await asyncio.sleep(every)
        lags = sorted(pattern.lags() or [], key=lambda lag: -lag[1])
        if lags:
            worst = [f"{name} {lag} ({seconds:.1f} s)" for name, lag, seconds in lags[:8]]
            more = f", and {len(lags) - 8} more" if len(lags) > 8 else ""
            print(f"lag: {', '.join(worst)}{more}", flush=True)


async def run(options: argparse.Namespace, lines: Iterable[str]) -> None:
    """Serve until the clients have all of the input, their time is over, or a signal comes."""
    make = PATTERNS[options.pattern]
    pattern = make(options.limit or LIMIT) if issubclass(make, Driftline) else make()
    server = PatternServer(pattern)
    ended = asyncio.Event()

    async def serve_all() -> None:
        await server.wait_for_clients(options.wait_for)
        await broadcast_lines(pattern, lines, ended)
        await server.wait_until_done()

    async def time_over() -> None:
        await ended.wait()
        await asyncio.sleep(options.grace)

    with stop_signals() as stop:
        async with server.listen(options.host, options.port) as url:
            print(f"listening on {url} (pattern: {options.pattern})", flush=True)
            await _first(serve_all(), time_over(), _wait(stop), print_lags(pattern, options.report))


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _first(*activities: Coroutine[None, None, None]) -> None:
    """Run all until the first one ends, then cancel the others; its error is raised."""
    tasks = [asyncio.create_task(activity) for activity in activities]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def stamped(lines: Iterable[str]) -> Iterator[str]:
    """Put number and time on each line, at the moment it is read."""
    return (stamp(number, line) for number, line in enumerate(lines, 1))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.broadcast.server",
        description="Broadcast the lines of standard input, or of a file, to WebSocket clients.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("pattern", choices=PATTERNS, metavar="PATTERN", help=", ".join(PATTERNS))
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8765, help="0 for any free one (default: %(default)s)")
    add("--follow", type=Path, metavar="FILE", help="what is appended to FILE from now on")
    add("--timestamp", action="store_true", help="send JSON: number, time and text of each line")
    add("--wait-for", type=int, default=0, metavar="N", help="read nothing before N clients came")
    add("--grace", type=float, default=30, metavar="S", help="seconds for clients to take the rest")
    add(
        "--limit",
        type=int,
        metavar="N",
        help="messages kept at most for clients that are behind, so that memory is bounded; only "
        f"with driftline or fan-out (default: {LIMIT})",
    )
    add("--report", type=float, default=1, metavar="S", help="seconds between two reports of lag")
    options = parser.parse_args(arguments)
    if options.limit is not None and not issubclass(PATTERNS[options.pattern], Driftline):
        parser.error(f"--limit is for driftline and fan-out; {options.pattern} has none")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit is a number of messages, 1 or more, not {options.limit}")
    return options


def main() -> str | None:
    """Run the server; return what went wrong, if anything did."""
    options = parse()
    try:
        lines = follow_lines(options.follow) if options.follow else read_lines(0)
    except OSError as error:
        return f"cannot follow {options.follow}: {error.strerror}"
    try:
        asyncio.run(run(options, stamped(lines) if options.timestamp else lines))
    except anyio.BrokenResourceError as error:
        return f"cannot read the input: {error.__cause__}"
    except (OSError, OverflowError) as error:  # OverflowError: no such port number
        return (
            f"cannot listen on {options.host}:{options.port}: {error}\n"
            "Choose another --host or --port; port 0 takes any free one."
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
