"""The programs in the README and in the documentation do what it says."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from websockets.sync.client import ClientConnection, connect

README = (Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
DOCUMENTATION = Path(__file__).parents[1] / "docs"
PATIENCE = 20.0


def test_the_thirty_lines_print_what_is_printed_beside_them() -> None:
    (printed,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAMS[0]], capture_output=True, text=True, timeout=60
    )
    assert run.stderr == ""
    # How far behind the slow one is depends on the machine, as the README says.
    numbers = re.compile(r"(?<=slow is )\d+")
    assert numbers.sub("50", run.stdout) == printed


PAGES = {
    "index": 1,
    "slow-readers": 6,
    "bus": 4,
    "websockets": 5,
    "explanation/freed-when-read": 1,
    "explanation/limits-without-a-registry": 2,
    "explanation/linked-list-of-futures": 8,
    "explanation/waiting-and-waking": 1,
    "how-to/asgi": 2,
    "how-to/embed-a-hub": 1,
    "how-to/newest-by-key": 2,
    "how-to/replace-blinker": 1,
    "how-to/replace-broadcaster": 1,
    "how-to/replace-queues": 2,
    "how-to/replace-websockets-broadcast": 2,
    "how-to/resume-a-stream": 3,
    "how-to/reverse-proxy": 1,
    "how-to/several-loops": 1,
    "how-to/several-processes": 1,
    "how-to/test-your-code": 1,
    "how-to/threads-and-signals": 1,
    "how-to/watch-lag": 1,
    "tutorial/first-topic": 4,
}
"""How many programs there are on each page that has some."""

PAGES_WITH_SERVERS = {"how-to/shut-down": 3, "tutorial/chat": 3, "tutorial/dashboard": 2}
"""Those with programs that do not end by themselves: `tests/test_shutting_down.py` and
`tests/tutorial` run them."""


def programs_of(page: Path) -> list[tuple[str, str]]:
    """Return each program with what it prints, which is the text block just below it, if any."""
    block = r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?"
    return re.findall(block, page.read_text(), re.DOTALL)


def test_no_page_with_programs_is_forgotten() -> None:
    found = {
        page.relative_to(DOCUMENTATION).with_suffix("").as_posix(): len(programs_of(page))
        for page in DOCUMENTATION.rglob("*.md")
    }
    assert {page: count for page, count in found.items() if count} == {
        **PAGES,
        **PAGES_WITH_SERVERS,
    }


@pytest.mark.once
@pytest.mark.parametrize("page", PAGES)
def test_the_programs_of_a_page_run(page: str) -> None:
    for program, printed in programs_of(DOCUMENTATION / f"{page}.md"):
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            # Where event loops are in debug mode, they write what took long on a busy machine.
            env={**os.environ, "PYTHONASYNCIODEBUG": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, printed, "")


def connect_when_there(port: int) -> ClientConnection:
    end = monotonic() + PATIENCE
    while True:
        try:
            return connect(f"ws://localhost:{port}")
        except ConnectionRefusedError:
            if monotonic() > end:
                raise


def test_the_websocket_server_serves() -> None:
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    program = PROGRAMS[1].replace("8765", str(port))
    server = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, text=True)
    try:
        with connect_when_there(port) as first, connect_when_there(port) as second:
            assert server.stdin is not None
            # Whoever is connected may not have subscribed yet, so lines go on until one arrives.
            for client in (first, second):
                end = monotonic() + PATIENCE
                while monotonic() < end:
                    server.stdin.write("hello\n")
                    server.stdin.flush()
                    try:
                        assert client.recv(timeout=0.1) == "hello\n"
                        break
                    except TimeoutError:
                        continue
                else:
                    raise AssertionError("nothing arrived")
            server.stdin.close()
    finally:
        server.terminate()
        server.wait(PATIENCE)
