"""Many WebSocket clients in one program, some of them slow, and what each of them got."""

import argparse
import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI
from websockets.uri import parse_uri

from examples.broadcast.report import Received, report
from examples.broadcast.stopping import stop_signals
from examples.broadcast.terms import read_account

EXAMPLES = """\
examples:
  python -m examples.broadcast.client ws://127.0.0.1:8765 --clients 10 --slow 2
      ten clients, two of them slow, until the server ends or Ctrl-C
  python -m examples.broadcast.client ws://127.0.0.1:8765 --slow 1 --slow-delay 0.5 --seconds 10
      one client that rests half a second after each message, for ten seconds
  python -m examples.broadcast.client 'ws://127.0.0.1:8765?on_lag=skip&max_lag=100' --slow 1
      a slow client that would rather miss messages than be more than 100 behind; the server
      (pattern driftline) tells with --help what else can be asked for

Latency, and which messages were missed, can be told if the server runs with --timestamp. How many
each client received, missed and skipped, driftline tells when the server closes the connection.
"""

PATIENCE = 5  # seconds that the server has to answer a client that leaves


async def connect_as(url: str, name: str, *, slow: bool) -> ClientConnection:
    """Connect under ``name``; a slow client gets the smallest buffers that work well.

    Without that the kernel and websockets would read ahead for it, and its slowness would remain
    invisible until they have taken megabytes.
    """
    uri = parse_uri(url)
    named = url if uri.path.strip("/") else urlunsplit(urlsplit(url)._replace(path=quote(name)))
    connection = await _open_socket(uri.host, uri.port, slow)
    try:
        return await connect(
            named,
            sock=connection,
            proxy=None,
            compression=None,
            max_queue=1 if slow else 16,
        )
    except BaseException:
        connection.close()
        raise


async def _open_socket(host: str, port: int, slow: bool) -> socket.socket:
    """A connected socket; the size of its buffer must be set before it connects."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error: OSError | None = None
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        if slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await loop.sock_connect(connection, address)
        except OSError as failure:
            error = failure
            connection.close()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise error or OSError(f"{host} has no address")


async def receive_all(
    websocket: ClientConnection,
    received: Received,
    *,
    delay: float = 0,
    most: int | None = None,
    leaving: asyncio.Event | None = None,
) -> None:
    """Receive until the server ends; rest ``delay`` seconds after each message.

    Once it is ``leaving``, it receives without rest what is on its way. After ``most`` messages it
    leaves by itself.
    """
    leaving = leaving or asyncio.Event()
    try:
        while True:
            received.take(await websocket.recv())
            if most is not None and received.messages >= most and not leaving.is_set():
                await leave(websocket, leaving)
            if delay:
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await leaving.wait()
    except ConnectionClosed as closed:
        received.ending = "cut off by the server"
        if closed.rcvd:
            received.ending = f"closed by the server: {closed.rcvd.code}"
            received.account = read_account(closed.rcvd.reason)
            if closed.rcvd.reason and not received.account:
                received.ending += f" {closed.rcvd.reason!r}"
    finally:
        # At once: a polite close() of a slow client would first read all that is on its way.
        websocket.transport.abort()


async def leave(websocket: ClientConnection, leaving: asyncio.Event) -> None:
    """Ask the server to close, so that it tells what it has not sent."""
    leaving.set()
    with suppress(ConnectionClosed):
        await websocket.send("leave")


async def run(options: argparse.Namespace) -> list[Received]:
    """Connect all clients, then receive until the server ends, the time is over, or Ctrl-C."""
    asked = urlsplit(options.url).query
    clients = [
        Received(f"slow {number}", asked, slow=True)
        if number <= options.slow
        else Received(f"fast {number - options.slow}", asked)
        for number in range(1, options.clients + 1)
    ]
    with stop_signals() as stop:
        websockets = [
            await connect_as(options.url, client.name, slow=client.slow) for client in clients
        ]
        print(f"{len(clients)} clients connected to {options.url}", flush=True)
        leavings = [asyncio.Event() for _ in clients]
        receiving = [
            asyncio.create_task(
                receive_all(
                    websocket,
                    client,
                    delay=options.slow_delay if client.slow else 0,
                    most=options.messages,
                    leaving=leaving,
                )
            )
            for client, websocket, leaving in zip(clients, websockets, leavings, strict=True)
        ]
        all_done = asyncio.create_task(asyncio.wait(receiving))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait(
            [all_done, stopping], timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if not all_done.done():
            await asyncio.gather(*map(leave, websockets, leavings))
            await asyncio.wait([all_done], timeout=PATIENCE)
        for task in (all_done, stopping, *receiving):
            task.cancel()
        await asyncio.wait(receiving)
    return clients


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.broadcast.client",
        description="Connect many WebSocket clients and tell what each received, and how late.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "url",
        metavar="URL",
        help="as the server printed it, for example ws://127.0.0.1:8765; what is to happen to slow "
        "clients may follow, for example ?on_lag=skip&max_lag=100",
    )
    add("--clients", type=int, default=1, metavar="N", help="how many (default: %(default)s)")
    add("--slow", type=int, default=0, metavar="K", help="how many of them are slow (default: 0)")
    add(
        "--slow-delay",
        type=float,
        default=0.05,
        metavar="S",
        help="seconds that a slow client rests after each message (default: %(default)s)",
    )
    add("--messages", type=int, metavar="M", help="each client asks to leave after M messages")
    add("--seconds", type=float, metavar="T", help="all clients ask to leave after T seconds")
    options = parser.parse_args(arguments)
    if not 0 <= options.slow <= options.clients:
        parser.error(f"--slow {options.slow} does not fit --clients {options.clients}")
    return options


def main() -> str | None:
    """Run the clients; return what went wrong, if anything did."""
    options = parse()
    try:
        clients = asyncio.run(run(options))
    except InvalidURI:
        return f"not a WebSocket URL: {options.url}\nIt looks like this: ws://127.0.0.1:8765"
    except (InvalidHandshake, InvalidMessage) as error:
        return f"{options.url} answers, but not as a WebSocket server: {error}"
    except OSError as error:
        return f"cannot connect to {options.url}: {error}\nIs the server running there?"
    print("\n".join(report(clients)))
    return None


if __name__ == "__main__":
    sys.exit(main())
