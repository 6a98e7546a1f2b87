"""The gallery of broadcast patterns: every program in it is run, over real WebSockets."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from examples.broadcast.client import connect_as, receive_all
from examples.broadcast.demo import SLOW
from examples.broadcast.patterns import PATTERNS, Driftline, Naive, Queue
from examples.broadcast.report import Received, percentile, report
from examples.broadcast.server import PatternServer
from examples.broadcast.stamp import stamp
from examples.broadcast.terms import Account, read_account
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedOK

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PIPE = asyncio.subprocess.PIPE


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a new asyncio loop; whatever hangs fails after 20 seconds."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


async def read_to_end(websocket: ClientConnection) -> list[str]:
    """All messages until the server ends; a batch is several of them, one per line."""
    messages: list[str] = []
    try:
        while True:
            messages += (await websocket.recv(decode=True)).split("\n")
    except ConnectionClosedOK:
        return messages


@asynccontextmanager
async def program(name: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of the gallery, with pipes; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", f"examples.broadcast.{name}", *arguments),
        cwd=ROOT,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_with(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """Wait until the program prints a line in which ``pattern`` is found."""
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        if found := re.search(pattern, line):
            return found
    assert process.stderr is not None
    raise AssertionError(f"no {pattern!r} printed; {(await process.stderr.read()).decode()}")


async def url_of(server: asyncio.subprocess.Process) -> str:
    """The address that the server says it listens on."""
    return (await line_with(server, r"listening on (ws://\S+)"))[1]


def run_to_end(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the gallery without input until it ends."""
    return subprocess.run(
        [sys.executable, "-m", f"examples.broadcast.{name}", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


# The patterns.


@pytest.mark.parametrize("name", PATTERNS)
def test_every_client_gets_all_messages_in_order(name: str) -> None:
    async def main() -> None:
        pattern = PATTERNS[name]()
        server = PatternServer(pattern)
        sent = [f"message {number}" for number in range(300)]
        async with server.listen("127.0.0.1", 0) as url:
            clients = [await connect(url, proxy=None) for _ in range(4)]
            reading = [asyncio.create_task(read_to_end(client)) for client in clients]
            await server.wait_for_clients(4)
            for message in sent:
                await pattern.broadcast(message)
            pattern.finish()
            await server.wait_until_done()
            for received in await asyncio.gather(*reading):
                assert received == sent

    run(main())


@pytest.mark.parametrize("name", PATTERNS)
def test_a_client_that_leaves_changes_nothing_for_the_others(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        pattern = PATTERNS[name]()
        one_left = asyncio.Event()
        serve = pattern.serve

        async def watched(websocket: ServerConnection) -> None:
            try:
                await serve(websocket)
            finally:
                one_left.set()

        monkeypatch.setattr(pattern, "serve", watched)
        server = PatternServer(pattern)
        async with server.listen("127.0.0.1", 0) as url:
            clients = [await connect(url, proxy=None) for _ in range(3)]
            await server.wait_for_clients(3)
            await pattern.broadcast("before")
            await clients[0].close()
            await one_left.wait()  # in a quiet hour: nothing is broadcast meanwhile
            await pattern.broadcast("after")
            pattern.finish()
            for client in clients[1:]:
                assert await read_to_end(client) == ["before", "after"]

    run(main())


async def frames_of_a_burst(pattern: Queue, count: int) -> list[str]:
    """What one client receives, frame by frame, if ``count`` messages are broadcast at once."""
    server = PatternServer(pattern)
    async with server.listen("127.0.0.1", 0) as url, connect(url, proxy=None) as client:
        await server.wait_for_clients(1)
        for number in range(count):  # without waiting once, so that the relay cannot run
            await pattern.broadcast(str(number))
        pattern.finish()
        return [frame async for frame in client if isinstance(frame, str)]


@pytest.mark.parametrize(
    ("batch_above", "buffer_above"),
    [(10, 10**9), (10**9, -1)],
    ids=["by the length of the queue", "by the size of the write buffer"],
)
def test_queue_batches_what_waits(batch_above: int, buffer_above: int) -> None:
    async def main() -> None:
        pattern = Queue()
        pattern.batch_above, pattern.buffer_above = batch_above, buffer_above
        frames = await frames_of_a_burst(pattern, 90)
        assert len(frames) < 20
        assert "\n".join(frames).split("\n") == [str(number) for number in range(90)]

    run(main())


def test_queue_skips_the_oldest_when_it_is_full() -> None:
    async def main() -> None:
        pattern = Queue()
        pattern.queue_limit = 5
        assert await frames_of_a_burst(pattern, 20) == ["15", "16", "17", "18", "19"]

    run(main())


def test_a_client_names_itself_in_the_path_but_cannot_write_to_our_terminal() -> None:
    async def main() -> None:
        pattern = Driftline()
        server = PatternServer(pattern)
        async with (
            server.listen("127.0.0.1", 0) as url,
            connect(f"{url}/a%1B[2Jda", proxy=None),
            connect(url, proxy=None),
        ):
            await server.wait_for_clients(2)
            assert sorted(name for name, _, _ in pattern.lags()) == ["a[2Jda", "client 2"]

    run(main())


# How a slow client is treated.


async def burst(pattern: Driftline, query: str, *, early: int = 0) -> Received:
    """What one client gets of 250 messages that are broadcast at once."""
    server = PatternServer(pattern)
    received = Received("ada", query)
    async with server.listen("127.0.0.1", 0) as url:
        for number in range(early):
            await pattern.broadcast(stamp(-number, "before the client came"))
        client = await connect_as(f"{url}?{query}", "ada", slow=True)
        reading = asyncio.create_task(receive_all(client, received))
        await server.wait_for_clients(1)
        for number in range(250):  # without waiting once, so that no client can follow
            await pattern.broadcast(stamp(number, "x" * 100))
        pattern.finish()
        await reading
    return received


@pytest.mark.parametrize(
    ("query", "numbers", "told", "account"),
    [
        ("", range(250), [], Account(250, 0, 0, 0, 250)),
        ("on_lag=close", range(250), [], Account(250, 0, 0, 0, 250)),  # never behind any limit
        ("on_lag=skip&max_lag=100", range(150, 250), [], Account(100, 150, 0, 0, 250)),
        ("max_lag=100", range(150, 250), [150], Account(100, 150, 0, 0, 250)),
        ("on_lag=raise&max_lag=100", range(150, 250), [150], Account(100, 150, 0, 0, 250)),
        ("on_lag=latest&max_lag=100", [249], [], Account(1, 249, 0, 0, 250)),
        ("on_lag=close&max_lag=100", [], [], Account(0, 150, 0, 100, 250)),
        ("read=latest", [249], [], Account(1, 0, 249, 0, 250)),
        ("read=latest&max_lag=100", [249], [150], Account(1, 150, 99, 0, 250)),
        ("read=batches", range(250), [], Account(250, 0, 0, 0, 250)),
        ("read=batches&max_lag=100", range(150, 250), [150], Account(100, 150, 0, 0, 250)),
    ],
)
def test_a_slow_client_is_treated_as_it_asked_and_told_what_it_missed(
    query: str, numbers: Sequence[int], told: list[int], account: Account
) -> None:
    ended = []

    async def main() -> None:
        received = await burst(Driftline(), query, early=7)
        assert received.numbers == [*numbers]
        assert received.told == told
        assert received.account == account
        assert received.adds_up
        code = 1013 if account.lag else 1000
        assert received.ending == f"closed by the server: {code}"
        ended.append(True)

    run(main())
    assert ended


def test_batches_are_frames_of_several_messages() -> None:
    async def main() -> None:
        pattern = Driftline()
        server = PatternServer(pattern)
        async with (
            server.listen("127.0.0.1", 0) as url,
            connect(f"{url}?read=batches", proxy=None) as client,
        ):
            await server.wait_for_clients(1)
            for number in range(250):
                await pattern.broadcast(str(number))
            pattern.finish()
            frames = [frame async for frame in client if isinstance(frame, str)]
        assert [len(frame.split("\n")) for frame in frames] == [100, 100, 50]
        assert "\n".join(frames).split("\n") == [str(number) for number in range(250)]

    run(main())


@pytest.mark.parametrize("query", ["", "on_lag=skip", "read=latest", "on_lag=close"])
def test_the_limit_of_the_topic_holds_for_every_client(query: str) -> None:
    async def main() -> None:
        received = await burst(Driftline(limit=16), query)
        assert received.account
        assert received.account.missed >= 230
        assert received.account.published == 250
        assert received.adds_up
        assert sum(received.told) == (0 if "on_lag" in query else received.account.missed)

    run(main())


def test_a_slow_client_misses_again_and_again_and_it_adds_up() -> None:
    async def main() -> None:
        pattern = Driftline()
        server = PatternServer(pattern)
        received = Received("ada")
        async with server.listen("127.0.0.1", 0) as url:
            client = await connect_as(f"{url}?max_lag=10", "ada", slow=True)
            await server.wait_for_clients(1)
            while len(received.told) < 3:
                for _ in range(50):
                    await pattern.broadcast(stamp(pattern.topic.published, "x" * 1000))
                received.take(await client.recv())
            pattern.finish()
            await receive_all(client, received)
        assert received.adds_up
        assert received.account
        assert received.account.missed == sum(received.told)
        assert received.missed <= sum(received.told)  # gaps before its first it cannot see
        assert received.account.published == pattern.topic.published

    run(main())


def test_a_client_to_be_disconnected_that_reads_nothing_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without patience it never comes to its next message, so nobody would notice its lag."""

    async def main() -> None:
        pattern = Driftline()
        pattern.patience = 0.05
        one_left = asyncio.Event()
        serve = pattern.serve

        async def watched(websocket: ServerConnection) -> None:
            await serve(websocket)
            one_left.set()

        monkeypatch.setattr(pattern, "serve", watched)
        server = PatternServer(pattern)
        async with server.listen("127.0.0.1", 0) as url:
            client = await connect_as(f"{url}?on_lag=close&max_lag=9999", "ada", slow=True)
            patient = await connect_as(f"{url}?max_lag=9999", "bob", slow=True)
            await server.wait_for_clients(2)
            ada, bob = pattern.topic.subscriptions()
            for _ in range(1000):
                await pattern.broadcast("x" * 1000)
            await one_left.wait()
            assert (ada.closed, bob.closed) == (True, False)
            for _ in range(1000):
                await patient.recv()
            pattern.finish()
            received = Received("ada")
            await receive_all(client, received)
            assert received.ending == "cut off by the server"

    run(main())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("on_lag=drop", "on_lag is one of 'raise', 'skip', 'latest', 'close', not 'drop'"),
        (
            "max_lag=0",
            "max_lag is a number of messages greater than 0, or None for no limit, not 0",
        ),
        ("max_lag=many", "max_lag is a number of messages, not 'many'"),
        ("max_lag=", "max_lag is a number of messages, not ''"),
        ("max_lag=-1", "max_lag is a number of messages, not '-1'"),
        ("read=newest", "read is one of 'all', 'batches', 'latest', not 'newest'"),
        ("onlag=skip", "ask for read, on_lag or max_lag, not 'onlag'"),
        ("read=" + 99 * "%C3%BC", f"read is one of 'all', 'batches', 'latest', not '{37 * 'ü'}"),
        ("max_lag=" + 4999 * "9", "Exceeds the limit"),
    ],
)
def test_a_client_that_asks_for_nonsense_is_told_why_it_is_refused(query: str, said: str) -> None:
    async def main() -> None:
        async with (
            PatternServer(Driftline()).listen("127.0.0.1", 0) as url,
            connect(f"{url}?{query}", proxy=None) as client,
        ):
            await client.wait_closed()
            assert client.close_code == 1008
            assert client.close_reason
            assert client.close_reason.startswith(said)

    run(main())


def test_an_account_fits_into_the_reason_of_a_close() -> None:
    account = Account(*5 * [10**12 - 1])
    assert len(account.write().encode()) <= 123
    assert read_account(account.write()) == account
    for other in ("", "going away", "{}", "[1]", '{"received": 1}', account.write()[:-1]):
        assert read_account(other) is None
    assert read_account(account.write().replace("999999999999", '"9"')) is None


# The server program.


def test_driftline_prints_lag_as_it_grows_and_as_it_is_worked_off() -> None:
    async def main() -> None:
        async with program("server", "driftline", "--port=0", "--report=0.05") as server:
            assert server.stdin is not None
            url = await url_of(server)
            client = await connect_as(url, "ada", slow=True)
            await line_with(server, r"^lag: ada 0 ")
            server.stdin.write(b"x" * 999 + b"\n" + 999 * (b"y" * 999 + b"\n"))
            await line_with(server, r"^lag: ada [1-9]\d\d ")
            for _ in range(1000):
                await client.recv()
            await line_with(server, r"^lag: ada 0 ")
            server.stdin.close()
            assert await read_to_end(client) == []
            assert await server.wait() == 0

    run(main())


def test_server_keeps_no_more_than_its_limit_and_tells() -> None:
    async def main() -> None:
        async with program(
            "server", "driftline", "--port=0", "--wait-for=1", "--report=0.05", "--limit=16"
        ) as server:
            assert server.stdin is not None
            client = await connect_as(await url_of(server), "ada", slow=True)
            # Much more than any socket takes, and the client reads nothing.
            server.stdin.write(30_000 * (b"y" * 999 + b"\n"))
            server.stdin.close()
            await line_with(server, r"^lag: ada [12]\d\d\d\d ")
            received = Received("ada")
            await receive_all(client, received)
            assert received.adds_up
            assert received.account
            assert received.account.published == 30_000
            assert received.account.missed == sum(received.told) > 9_000

    run(main())


def test_server_reads_a_pipe_to_its_end_and_ends_when_clients_have_everything() -> None:
    async def main() -> None:
        async with program("server", "driftline", "--port=0", "--wait-for=2") as server:
            assert server.stdin is not None
            server.stdin.write("one\r\ntwo\n\nünfinished".encode())
            server.stdin.close()
            url = await url_of(server)
            clients = [await connect(url, proxy=None) for _ in range(2)]
            for client in clients:
                assert await read_to_end(client) == ["one", "two", "", "ünfinished"]
            assert await server.wait() == 0

    run(main())


def test_server_follows_a_file_that_grows_and_is_rotated_and_cut_short(tmp_path: Path) -> None:
    async def main() -> None:
        log = tmp_path / "log"
        log.write_text("from before\n")
        async with (
            program("server", "naive", "--port=0", f"--follow={log}", "--wait-for=1") as server,
            connect(await url_of(server), proxy=None) as client,
        ):
            with log.open("a") as file:
                file.write("appended\nunfini")
                file.flush()
                assert await client.recv() == "appended"
                file.write("shed\nlast of the old\n")
            assert await client.recv() == "unfinished"
            assert await client.recv() == "last of the old"
            log.rename(tmp_path / "log.1")
            log.write_text("first of the new\n")
            assert await client.recv() == "first of the new"
            log.write_text("cut\n")
            assert await client.recv() == "cut"

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals between processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_tells_the_clients(number: signal.Signals) -> None:
    async def main() -> None:
        async with program("server", "pubsub", "--port=0") as server:
            async with connect(await url_of(server), proxy=None) as client:
                server.send_signal(number)
                await client.wait_closed()
                assert client.close_code == 1001  # going away
            assert await server.wait() == 0
            assert server.stderr is not None
            assert await server.stderr.read() == b""

    run(main())


def test_a_client_that_never_reads_is_cut_off_after_the_grace() -> None:
    async def main() -> None:
        async with program(
            "server", "driftline", "--port=0", "--wait-for=1", "--grace=0.3"
        ) as server:
            client = await connect_as(await url_of(server), "stalled", slow=True)
            output, errors = await server.communicate(1000 * (b"z" * 999 + b"\n"))
            assert server.returncode == 0, output
            assert b"cut off 1 client" in errors
            client.transport.abort()

    run(main())


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("server", ["naive", "--follow=no/such/file"], "cannot follow no/such/file: No such file"),
        ("server", ["naive", "--port=99999"], "cannot listen on 127.0.0.1:99999"),
        ("server", ["naive", "--limit=5"], "--limit is for driftline and fan-out; naive has none"),
        ("server", ["driftline", "--limit=0"], "--limit is a number of messages, 1 or more, not 0"),
        ("client", ["http://127.0.0.1:80"], "not a WebSocket URL"),
        ("client", ["ws://127.0.0.1:80", "--slow=2"], "--slow 2 does not fit --clients 1"),
    ],
)
def test_errors_say_what_is_wrong(name: str, arguments: Sequence[str], said: str) -> None:
    result = run_to_end(name, *arguments)
    assert result.returncode != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_named() -> None:
    async def main() -> None:
        async with PatternServer(Naive()).listen("127.0.0.1", 0) as url:
            port = url.rpartition(":")[2]
            async with program("server", "naive", f"--port={port}") as server:
                _, errors = await server.communicate()
                assert f"cannot listen on 127.0.0.1:{port}".encode() in errors
                assert server.returncode == 1

    run(main())


# The client program.


def test_client_prints_percentiles_and_what_each_missed() -> None:
    async def main() -> None:
        pattern = Naive()
        server = PatternServer(pattern)
        async with (
            server.listen("127.0.0.1", 0) as url,
            program("client", url, "--clients=3", "--slow=1", "--slow-delay=0.01") as client,
        ):
            await server.wait_for_clients(3)
            for number in (1, 2, 5, 6):
                await pattern.broadcast(stamp(number, "line"))
            pattern.finish()
            output = (await client.communicate())[0].decode()
        latency = r" +\d+\.\d ms" * 4
        assert re.search(rf"^fast +2 +8 +4{latency}$", output, re.MULTILINE), output
        assert re.search(rf"^slow +1 +4 +2{latency}$", output, re.MULTILINE), output
        assert "fast 1 missed 2: 3-4\n" in output
        assert "slow 1 missed 2: 3-4\n" in output

    run(main())


def test_client_prints_what_the_server_says_it_missed_and_that_it_adds_up() -> None:
    async def main() -> None:
        pattern = Driftline()
        server = PatternServer(pattern)
        query = "on_lag=raise&max_lag=100"
        async with (
            server.listen("127.0.0.1", 0) as url,
            program(
                "client", f"{url}?{query}", "--clients=2", "--slow=1", "--slow-delay=0.001"
            ) as client,
        ):
            await server.wait_for_clients(2)
            for number in range(250):
                await pattern.broadcast(stamp(number, ""))
            pattern.finish()
            output = (await client.communicate())[0].decode()
        for name in ("fast 1", "slow 1"):
            figures = " +".join(map(str, (100, 150, 0, 0, 250, 250)))
            row = rf"^{name} +{re.escape(query)} +{figures} +told 1 times: 150$"
            assert re.search(row, output, re.MULTILINE), output
        assert "It adds up" in output

    run(main())


def test_what_the_server_says_it_missed_is_not_said_again() -> None:
    received = Received("ada")
    for number in (1, 5):
        received.take(stamp(number, ""))
    assert "ada missed 3: 2-4" in [*report([received])]
    received.account = Account(2, 3, 0, 0, 5)
    assert not any("2-4" in line for line in report([received]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals between processes")
@pytest.mark.parametrize(
    "how", [["--messages=5"], ["--seconds=0.5", "--slow-delay=99"], ["--slow-delay=99"]]
)
def test_a_client_that_leaves_is_told_what_it_missed_until_then(
    how: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        pattern = Driftline()
        server = PatternServer(pattern)
        async with (
            server.listen("127.0.0.1", 0) as url,
            program("client", f"{url}?max_lag=5", "--slow=1", *how) as client,
        ):
            await line_with(client, "1 clients connected")
            for number in range(100):
                await pattern.broadcast(stamp(number, ""))
            if how == ["--slow-delay=99"]:
                client.send_signal(signal.SIGINT)
            output = (await client.communicate())[0].decode()
            assert re.search(r"max_lag=5 +5 +95 +0 +0 +100 +100 +told 1 times", output), output
            assert client.returncode == 0
        assert not caplog.records, "to leave is no failure of the server"

    run(main())


def test_client_says_why_it_was_refused() -> None:
    async def main() -> None:
        async with (
            PatternServer(Driftline()).listen("127.0.0.1", 0) as url,
            program("client", f"{url}?read=newest") as client,
        ):
            output = (await client.communicate())[0].decode()
            assert 'fast 1: closed by the server: 1008 "read is one of' in output

    run(main())


def test_an_account_that_does_not_add_up_is_shown() -> None:
    received = Received("ada", account=Account(2, 1, 0, 0, 3))
    received.take("only one")
    assert "DOES NOT ADD UP: ada" in [*report([received])]
    received.take("and another")
    assert "DOES NOT ADD UP: ada" not in [*report([received])]


@pytest.mark.parametrize("limit", ["--messages=2", "--seconds=0.5"])
def test_clients_leave_when_told(limit: str) -> None:
    async def main() -> None:
        pattern = Naive()
        server = PatternServer(pattern)
        async with server.listen("127.0.0.1", 0) as url, program("client", url, limit) as client:
            await server.wait_for_clients(1)
            await pattern.broadcast(stamp(1, "line"))
            await pattern.broadcast(stamp(2, "line"))
            output = (await client.communicate())[0].decode()
            assert re.search(r"^fast +1 +2 +0 ", output, re.MULTILINE), output
            assert client.returncode == 0

    run(main())


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7.0], 50) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_disorder_and_gaps_are_told_apart() -> None:
    received = Received("client")
    for number in (4, 6, 5, 5, 9, 11):
        received.take(stamp(number, ""))
    assert (received.gaps(), received.missed, received.disordered) == ([(7, 8), (10, 10)], 3, 2)


# The demo.


def test_demo_ends_by_itself_and_its_summary_adds_up() -> None:
    result = run_to_end("demo", "--seconds=3")
    assert result.returncode == 0, result.stderr
    found = re.search(
        r"^published (\d+); slow was at most (\d+) behind$", result.stdout, re.MULTILINE
    )
    assert found, result.stdout
    published = found[1]
    assert int(found[2]) > 50, "the slow client's lag is seen here, not hidden in buffers"
    rows = dict[str, list[int]]()
    for row in re.finditer(
        r"^(\w+(?: \d)?) +\S+" + 6 * r" +(\d+)" + r"\b", result.stdout, re.MULTILINE
    ):
        name, *figures = row.groups()
        rows[name] = [int(figure) for figure in figures]
    assert list(rows) == ["fast 1", "fast 2", *SLOW], result.stdout
    for name, (received, missed, skipped, lag, total, present) in rows.items():
        assert received + missed + skipped + lag == total == present, name
        assert (present == int(published)) or name == "close"
        assert (missed > 0) is (name in {"skip", "raise", "latest", "close"}), name
        assert (skipped > 0) is (name == "newest"), name
    assert "It adds up" in result.stdout
