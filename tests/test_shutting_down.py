"""The programs of the page on shutting down, in processes that get real signals."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosedError

from test_readme import DOCUMENTATION, PATIENCE, connect_when_there, programs_of

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGTERM"),
]

CLOSE, SIGNALS, SERVER = (
    program for program, _ in programs_of(DOCUMENTATION / "how-to" / "shut-down.md")
)
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def changed(program: str, **changes: str) -> str:
    """Return a program with other words for some, each of which is there once."""
    for old, new in changes.items():
        assert program.count(old) == 1
        program = program.replace(old, new)
    return program


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[str]]:
    """Have it run; it must end in the block."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """Return what it prints until it ends, as it must."""
    printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    return printed


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_closed_bus_ends_its_readers() -> None:
    with running(CLOSE) as process:
        assert ended(process) == ""


@BOTH
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_after_a_signal_everything_is_written(backend: str, number: signal.Signals) -> None:
    program = changed(
        SIGNALS,
        **{
            "anyio.run(main)": f"anyio.run(main, backend={backend!r})",
            "PATIENCE = 10.0": "PATIENCE = 1000.0",  # it must not come to that
        },
    )
    with running(program) as process:
        for line in range(1, 11):  # by then as many are left
            assert first_line(process) == f"{line}\n"
        process.send_signal(number)
        *written, last = ended(process).splitlines()
    count = int(written[-1])
    assert count > 10
    assert written == [str(line) for line in range(11, count + 1)]
    assert last == f"{count} written, 0 not"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_after_the_deadline_the_rest_is_given_up_and_counted(backend: str) -> None:
    program = changed(
        SIGNALS,
        **{
            "anyio.run(main)": f"anyio.run(main, backend={backend!r})",
            "lines.publish(lines.published + 1)": "lines.publish_many(range(5))",
            "await anyio.sleep(0.02)": "await anyio.sleep_forever()",
            "PATIENCE = 10.0": "PATIENCE = 0.01",
        },
    )
    with running(program) as process:
        assert first_line(process) == "0\n"
        process.send_signal(signal.SIGTERM)
        found = re.fullmatch(r"1 written, (\d+) not\n", ended(process))
    assert found is not None
    assert int(found[1]) >= 4


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def server(port: int, patience: float) -> str:
    """Return the server, with a relay that waits for clients as long as they like."""
    return changed(
        SERVER,
        **{
            "8765": str(port),
            # Once, and so much that most of it is in the topic when the signal comes.
            "lines.publish(lines.published + 1)": "if lines.subscriptions() and not lines.published"
            ": lines.publish_many(range(300))",
            "encode=str": "encode=lambda line: str(line).ljust(100_000), patience=1000",
            "**serve_options()": "compression=None",
            "PATIENCE = 10.0": f"PATIENCE = {patience}",
        },
    )


@BOTH
def test_a_server_sends_the_rest_to_whoever_is_behind(number: signal.Signals) -> None:
    port = free_port()
    with running(server(port, patience=1000)) as process, connect_when_there(port) as client:
        assert int(client.recv()) == 0
        process.send_signal(number)
        assert [int(text) for text in client] == list(range(1, 300))
        assert ended(process) == "300 published\n"
        assert client.close_code == 1000


def test_after_the_deadline_a_server_waits_for_nobody() -> None:
    port = free_port()
    with running(server(port, patience=0.01)) as process, connect_when_there(port) as client:
        assert int(client.recv()) == 0
        process.send_signal(signal.SIGTERM)
        assert ended(process) == "300 published\n"  # while the client takes nothing
        with pytest.raises(ConnectionClosedError):
            list(client)
