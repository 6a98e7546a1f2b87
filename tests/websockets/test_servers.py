"""The same program on each server of websockets: on asyncio, on trio, and on threads."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
import websockets.asyncio.server
import websockets.sync.server
from anyio import ClosedResourceError, EndOfStream, WouldBlock
from anyio.from_thread import start_blocking_portal
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from driftline import Lagged, Topic
from driftline.websockets import relay, relay_blocking

LARGE = "x" * 64 * 1024
HANGS = 10


class Host:
    """A server that relays a topic to each client, in threads of its own."""

    def __init__(self, topic: Topic[Any], options: dict[str, Any]) -> None:
        self.port = 0
        self.endings: SimpleQueue[Any] = SimpleQueue()
        self.before: Callable[[Any], None] = lambda websocket: None
        self._topic = topic
        self._options = options
        self._relays = 0

    async def handle(self, websocket: Any) -> None:
        """Relay."""
        self.before(websocket)
        try:
            self.endings.put(await relay(self._topic, websocket, **self._options))
        except Exception as error:
            self.endings.put(error)

    def handle_blocking(self, websocket: Any) -> None:
        """Relay, in a thread."""
        self.before(websocket)
        try:
            self.endings.put(relay_blocking(self._topic, websocket, **self._options))
        except Exception as error:
            self.endings.put(error)

    def ending(self) -> Any:
        """Return how the next one ended."""
        return self.endings.get(timeout=HANGS)

    @contextmanager
    def client(self) -> Iterator[ClientConnection]:
        """Connect a client, and wait until the server relays to it."""
        with connect(f"ws://127.0.0.1:{self.port}") as client:
            self.wait_for_relay()
            yield client

    def wait_for_relay(self) -> None:
        """Wait until the server relays to one who has just come."""
        self._relays += 1
        while sum(each.name != "fan-out" for each in self._topic.subscriptions()) < self._relays:
            time.sleep(0.001)


@contextmanager
def on_asyncio(topic: Topic[Any], *, loop: str = "asyncio", **options: Any) -> Iterator[Host]:
    """Run websockets' asyncio server."""
    host = Host(topic, options)

    @asynccontextmanager
    async def serving() -> Any:
        async with websockets.asyncio.server.serve(host.handle, "127.0.0.1", 0) as server:
            host.port = next(iter(server.sockets)).getsockname()[1]
            yield

    with (
        start_blocking_portal("asyncio", {"use_uvloop": loop == "uvloop"}) as portal,
        portal.wrap_async_context_manager(serving()),
    ):
        yield host


def on_uvloop(topic: Topic[Any], **options: Any) -> AbstractContextManager[Host]:
    """Run it on uvloop."""
    return on_asyncio(topic, loop="uvloop", **options)


@contextmanager
def on_trio(topic: Topic[Any], **options: Any) -> Iterator[Host]:
    """Run websockets' trio server."""
    trio = pytest.importorskip("trio")
    server_module = pytest.importorskip("websockets.trio.server", reason="came with 17.0")
    host = Host(topic, options)

    @asynccontextmanager
    async def serving() -> Any:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(server_module.serve, host.handle, 0)
            host.port = server.listeners[0].socket.getsockname()[1]
            yield
            await server.aclose()
            nursery.cancel_scope.cancel()

    with (
        start_blocking_portal("trio") as portal,
        portal.wrap_async_context_manager(serving()),
    ):
        yield host


@contextmanager
def on_threads(topic: Topic[Any], **options: Any) -> Iterator[Host]:
    """Run websockets' threading server."""
    host = Host(topic, options)
    with websockets.sync.server.serve(host.handle_blocking, "127.0.0.1", 0) as server:
        host.port = server.socket.getsockname()[1]
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield host
        server.shutdown()
        thread.join()


EACH_SERVER = pytest.mark.parametrize("serving", [on_asyncio, on_uvloop, on_trio, on_threads])
Serving = Callable[..., AbstractContextManager[Host]]


def read_all(client: ClientConnection) -> list[Any]:
    """Read until the connection ends."""
    messages = []
    try:
        while True:
            messages.append(client.recv(timeout=HANGS))
    except ConnectionClosed:
        return messages


@EACH_SERVER
def test_clients_get_what_is_published_until_the_topic_ends(serving: Serving) -> None:
    """Text and bytes, from where each begins, and all of it."""
    topic: Topic[Any] = Topic("news", replay=1)
    topic.publish("before")
    values = ["one", b"two", "thr\u00e9\u00e9", LARGE, *map(str, range(100))]
    with serving(topic, replay=1) as host, host.client() as one, host.client() as other:
        for value in values:
            topic.publish(value)
        topic.close()
        assert read_all(one) == read_all(other) == ["before", *values]
        assert one.close_code == other.close_code == 1000
        assert host.ending() == host.ending() == "ended"


def test_servers_on_several_loops_and_threads_share_a_topic() -> None:
    """Published from a thread that none of them runs in."""
    topic: Topic[str] = Topic("news")
    values = [str(number) for number in range(2000)]
    with ExitStack() as stack:
        hosts = [
            stack.enter_context(serving(topic))
            for serving in (on_asyncio, on_asyncio, on_uvloop, on_trio, on_threads)
        ]
        clients = [stack.enter_context(host.client()) for host in hosts for _ in range(2)]
        while sum(each.name != "fan-out" for each in topic.subscriptions()) < len(clients):
            time.sleep(0.001)
        for value in values:
            topic.publish(value)
        topic.close()
        for client in clients:
            assert read_all(client) == values


@EACH_SERVER
def test_who_leaves_is_gone(serving: Serving) -> None:
    """It is noticed while nothing is published, and its subscription is closed."""
    topic: Topic[str] = Topic("news")
    with serving(topic) as host:
        with host.client() as client:
            topic.publish("one")
            assert client.recv() == "one"
        assert host.ending() == "gone"
        assert [each.name for each in topic.subscriptions() if each.name != "fan-out"] == []


@EACH_SERVER
def test_who_left_before_is_gone(serving: Serving) -> None:
    """The socket has nobody at its other end any more."""
    topic: Topic[str] = Topic("news")
    left = SimpleQueue[None]()
    with serving(topic) as host:
        host.before = lambda _: left.get(timeout=HANGS)
        with connect(f"ws://127.0.0.1:{host.port}") as client:
            linger = struct.pack("ii", 1, 0)  # so that it ends at once, without a word
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.socket.shutdown(socket.SHUT_RD)
            client.socket.close()
            left.put(None)
            assert host.ending() == "gone"


@EACH_SERVER
@pytest.mark.parametrize("options", [{"patience": 0.5}, {"max_lag": 5, "patience": 1.0}])
def test_f1_who_never_reads_is_cut_off_on_each_server(
    serving: Serving, options: dict[str, Any]
) -> None:
    """By time at the latest; another client gets everything."""
    topic: Topic[str] = Topic("news")
    with serving(topic, **options) as host, host.client() as good, stalled(host):
        for _ in range(100):
            topic.publish(LARGE)
            assert good.recv(timeout=HANGS) == LARGE
        assert host.ending() == "too slow"
        topic.publish("last")
        assert good.recv(timeout=HANGS) == "last"


@EACH_SERVER
def test_who_takes_one_message_for_longer_than_patience_is_not_cut_off(serving: Serving) -> None:
    """As long as it takes something."""
    topic: Topic[bytes] = Topic("news")
    size = 4 * 1024 * 1024
    with serving(topic, patience=1.0) as host, stalled(host) as connected:
        topic.publish(bytes(size))
        read = 0
        begin = time.monotonic()
        while read < size:
            # As much as lets it take two seconds and a half.
            time.sleep(max(0.0, 2.5 * read / size - (time.monotonic() - begin)))
            new = connected.recv(64 * 1024)
            assert new, host.ending()
            read += len(new)
        assert time.monotonic() - begin > 2


@contextmanager
def stalled(host: Host) -> Iterator[socket.socket]:
    """Have a client that reads nothing."""
    with socket.socket() as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected.connect(("127.0.0.1", host.port))
        connected.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        host.wait_for_relay()
        yield connected


@EACH_SERVER
def test_what_cannot_be_sent_is_raised(serving: Serving) -> None:
    """It says what to give."""
    topic: Topic[int] = Topic("news")
    with serving(topic) as host, host.client():
        topic.publish(1)
        error = host.ending()
        assert isinstance(error, TypeError)
        assert "encode=" in str(error)


@EACH_SERVER
@pytest.mark.parametrize("function", ["encode", "encode_message", "tell"])
@pytest.mark.parametrize(
    "error",
    [
        WouldBlock(),
        EndOfStream(),
        ClosedResourceError(),
        Lagged(1, "a topic", "a subscription"),
        TimeoutError(),
        StopAsyncIteration(),
        ConnectionClosedOK(None, None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_function_is_not_taken_for_one_of_reading(
    serving: Serving, function: str, error: Exception
) -> None:
    """It is raised as it is, and nobody goes on without the message."""

    def fail(_: object) -> str:
        raise error

    topic: Topic[str] = Topic("news", replay=1)
    options: dict[str, Any] = {function: fail}
    if function == "tell":
        options |= {"max_lag": 1, "on_lag": "skip"}
        topic.limit = 1
    with serving(topic, **options) as host, host.client():
        topic.publish_many(["one", "two", "three"])
        assert host.ending() is error


@EACH_SERVER
def test_a_topic_that_fails_says_so_to_each_handler(serving: Serving) -> None:
    """Everything is sent before."""
    topic: Topic[str] = Topic("news")
    with serving(topic) as host, host.client() as client:
        topic.publish("last")
        topic.close(OSError("no more"))
        error = host.ending()
        assert type(error).__name__ == "BrokenResourceError"
        assert str(error.__cause__) == "no more"
        assert client.recv() == "last"
