"""`driftline serve`, as a process, with real input and real clients."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from errno import EADDRINUSE
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from programs import DRIFTLINE, PATIENCE, Program, RunningHub, run

pytestmark = pytest.mark.once

LOOPS = ["asyncio", "uvloop", "trio"]


def test_lines_of_tail_f_reach_tail_and_the_client_of_websockets(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("old\n")
    with (
        Program("tail", "-n", "1", "-F", str(log), stdout=subprocess.PIPE) as growing,
        RunningHub("--stdin", "logs", "--replay", "10", stdin=growing.process.stdout) as hub,
        hub.tail("logs", "--replay", "10") as tail,
    ):
        assert tail.out.next() == "old"
        command = [sys.executable, "-m", "websockets"]
        url = f"ws://127.0.0.1:{hub.port}/topic/logs?name=websockets"
        with Program(*command, url, stdin=subprocess.PIPE) as client:
            hub.wait_for_reader("websockets")
            with log.open("a") as file:
                file.write("GET /\n")
            assert tail.out.next() == "GET /"
            client.out.wait_for(r"GET /")


def test_lines_of_ping_reach_tail_and_the_client_of_websockets() -> None:
    if why := no_ping():
        pytest.skip(why)
    with (
        Program("ping", "-i", "0.2", "127.0.0.1", stdout=subprocess.PIPE) as pinging,
        RunningHub("--stdin", "pings", "--replay", "10", stdin=pinging.process.stdout) as hub,
        hub.tail("pings", "--replay", "10") as tail,
    ):
        tail.out.wait_for(r"icmp_seq=\d+ ")
        command = [sys.executable, "-m", "websockets"]
        url = f"ws://127.0.0.1:{hub.port}/topic/pings"
        with Program(*command, url, stdin=subprocess.PIPE) as client:
            client.out.wait_for(r"icmp_seq=\d+ ")


def no_ping() -> str | None:
    """Return why this machine cannot ping itself, or None."""
    if shutil.which("ping") is None:
        return "there is no ping; on Debian, it is in iputils-ping"
    tried = subprocess.run(["ping", "-c", "1", "127.0.0.1"], capture_output=True, text=True)
    return f"it may not ping: {tried.stderr}" if tried.returncode else None


def test_input_that_is_no_text_and_its_end_do_not_end_the_hub() -> None:
    with RunningHub("--stdin", "logs", "--replay", "9", stdin=subprocess.PIPE) as hub:
        hub.write(b"one\n\xff\xfe\nlast, without an end")
        assert hub.process.stdin is not None
        hub.process.stdin.close()
        lines = ["one", "\ufffd\ufffd", "last, without an end"]
        assert hub.read("logs", 3) == lines
        hub.publish("logs", "still here")
        assert hub.read("logs", 1) == ["still here"]


def test_files_are_followed_through_rotation_truncation_and_absence(tmp_path: Path) -> None:
    web, errors = tmp_path / "web.log", tmp_path / "a=b.log"
    web.write_text("before\n")
    options = ["--follow", f"{web}=logs.web", "--follow", f"{errors}=logs.errors"]
    with RunningHub(*options) as hub, hub.tail("logs.*", "--topics") as tail:
        with web.open("a") as file:
            file.write("one\n")
        assert tail.out.next() == "logs.web one"
        errors.write_bytes(b"bad \xff\n")
        assert tail.out.next() == "logs.errors bad \ufffd"
        web.rename(tmp_path / "web.log.1")
        web.write_text("rotated\n")
        assert tail.out.next() == "logs.web rotated"
        web.write_text("new\n")
        assert tail.out.next() == "logs.web new"


@pytest.mark.parametrize("loop", LOOPS)
def test_ctrl_c_ends_it_with_130_and_tells_clients(loop: str) -> None:
    with RunningHub("--loop", loop) as hub:
        with connect(f"ws://127.0.0.1:{hub.port}/topic/logs") as client:
            hub.process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert hub.wait() == 130
        assert hub.err.rest() == []


def test_sigterm_ends_it_with_0_also_while_it_waits_for_input() -> None:
    with RunningHub("--stdin", "logs", stdin=subprocess.PIPE) as hub:
        assert hub.terminate() == 0
        assert hub.err.rest() == []


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_port_in_use_is_one_line(hub: RunningHub, loop: str) -> None:
    finished = run("serve", "--port", str(hub.port), "--loop", loop)
    assert finished.returncode == 1
    reason = os.strerror(EADDRINUSE)
    assert finished.stderr == (
        f"driftline: cannot listen on 127.0.0.1:{hub.port} ({reason}); "
        "--port chooses another port\n"
    )


def test_a_host_that_is_none_is_one_line() -> None:
    finished = run("serve", "--host", "none.invalid", "--port", "0", "--token", "s3cret")
    assert finished.returncode == 1
    assert re.fullmatch(r"driftline: cannot listen on none\.invalid:0 \(.+\).*\n", finished.stderr)


def test_it_warns_if_everybody_may_connect() -> None:
    with Program(*DRIFTLINE, "serve", "--port", "0", "--host", "0.0.0.0") as program:
        assert program.err.next() == (
            "driftline: warning: whoever can reach 0.0.0.0 can read and publish; "
            "--token asks for a token"
        )
        program.err.wait_for("listening on http://127.0.0.1:")


def test_the_page_at_the_address_it_prints_is_the_inspector(hub: RunningHub) -> None:
    with urlopen(hub.page, timeout=PATIENCE) as page:
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    with urlopen(hub.page + "health", timeout=PATIENCE) as health:
        assert b'"status":"ok"' in health.read()


def test_tokens_allow_what_they_say() -> None:
    options = ["--token", "all", "--read-token", "reader=logs.>", "--publish-token", "w=logs.web"]
    with RunningHub(*options, "--replay", "10") as hub:
        for token, topic, allowed in [
            ("w", "logs.web", True),
            ("w", "logs.db", False),
            (None, "logs.web", False),
        ]:
            who = [] if token is None else ["--token", token]
            finished = run("publish", hub.address, topic, "hello", *who)
            assert finished.returncode == (0 if allowed else 1), (token, topic, finished)
        arguments = ["tail", hub.address, "logs.*", "-n", "1", "--replay", "1"]
        read = run(*arguments, env={"DRIFTLINE_TOKEN": "reader"})
        assert (read.returncode, read.stdout) == (0, "hello\n")
        refused = run(*arguments, "--token", "wrong")
        assert refused.returncode == 1
        assert refused.stderr == (
            "driftline: the hub refuses: logs.* may not be read; "
            "--token or DRIFTLINE_TOKEN says who you are\n"
        )


def test_read_only_lets_everybody_read_and_nobody_publish() -> None:
    with RunningHub("--read-only", "--token", "s3cret", "--replay", "1") as hub:
        assert run("publish", hub.address, "news", "no").returncode == 1
        assert run("publish", hub.address, "news", "yes", "--token", "s3cret").returncode == 0
        assert hub.read("news", 1) == ["yes"]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_reader_that_leaves_without_a_word_is_no_fault(loop: str) -> None:
    with RunningHub("--loop", loop) as hub:
        with connect(f"{hub.url}topic/logs?name=rude") as client:
            hub.wait_for_reader("rude")
            client.socket.shutdown(socket.SHUT_RDWR)
        for look in hub.watch():
            if not look["readers"]:
                break
        assert hub.terminate() == 0
        assert hub.err.rest() == []
