"""`driftline top`, as a process, with and without a terminal; and the demonstration."""

import json
import os
import re
import signal
import subprocess
import sys
from time import monotonic

import pytest
from websockets.sync.client import connect

from programs import DRIFTLINE, PATIENCE, Program, RunningHub, run

pytestmark = pytest.mark.once


def test_one_snapshot_fits_80_columns_and_names_of_clients_move_no_cursor(hub: RunningHub) -> None:
    topic = "logs." + ".".join(["long"] * 30)
    with hub.tail(topic, "--on-lag", "latest", name="[red]\x1b[2Jbad"):
        hub.publish(topic, "x")
        finished = run("top", hub.address, "--once")
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith(f"{hub.address}  ")
    (topics,) = (n for n, line in enumerate(lines) if re.match("topic +messages", line))
    assert lines[topics].split() == ["topic", "messages", "per", "second", "readers"]
    (readers,) = (n for n, line in enumerate(lines) if re.match("reader +reads", line))
    assert lines[readers].rstrip().endswith(" lag seconds bytes missed when slow")
    assert any(line.rstrip().endswith("latest") for line in lines[readers:])
    assert "[red]\ufffd[2Jbad" in finished.stdout
    assert "\x1b" not in finished.stdout


def test_json_is_a_snapshot_a_line(hub: RunningHub) -> None:
    with Program(*DRIFTLINE, "top", hub.address, "--json") as program:
        first, second = (json.loads(program.out.next()) for _ in range(2))
        assert first["at"] < second["at"]
        assert {"topics", "readers", "published_rate"} <= first.keys()
        assert program.interrupt() == 130
        assert program.err.rest() == []


def test_on_a_terminal_it_is_renewed_until_ctrl_c(hub: RunningHub) -> None:
    ours, theirs = os.openpty()
    env = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with Program(*DRIFTLINE, "top", hub.address, stdout=theirs, env=env) as program:
        os.close(theirs)
        seen = b""
        while seen.count(b"connection") < 2:
            seen += os.read(ours, 4096)
        assert b"\x1b[?1049h" in seen
        program.process.send_signal(signal.SIGINT)
        try:
            while data := os.read(ours, 4096):
                seen += data
        except OSError:  # Linux says so that nobody writes any more
            pass
        assert b"\x1b[?1049l" in seen  # the screen is given back
        assert program.wait() == 130
    os.close(ours)


def test_without_a_hub_it_is_one_line() -> None:
    finished = run("top", "127.0.0.1:1")
    assert finished.returncode == 1
    assert finished.stderr.startswith("driftline: nobody listens at 127.0.0.1:1")


def test_the_demonstration_has_readers_fast_and_slow_and_real_figures() -> None:
    with Program(*DRIFTLINE, "demo") as demo:
        address = demo.err.wait_for(r"(http://\S+) shows topics and readers")[1]
        with connect(f"ws{address.removeprefix('http')}topic/machine.load") as websocket:
            load = json.loads(websocket.recv(PATIENCE))
        assert load.keys() == {"1 min", "5 min", "15 min"}
        snapshot = json.loads(run("top", address, "--once", "--json").stdout)
        names = {reader["name"] for reader in snapshot["readers"]}
        assert {"fast", "slow", "slow, latest"} <= names
        assert any(topic["name"] == f"process.{demo.process.pid}" for topic in snapshot["topics"])
        assert demo.interrupt() == 130


def test_the_demonstration_ends_by_itself_and_does_not_wait_for_its_slow_readers() -> None:
    begun = monotonic()
    finished = run("demo", "--seconds", "3")
    assert finished.returncode == 0
    assert "Traceback" not in finished.stderr
    assert monotonic() - begun < 12  # websockets alone would wait 10 for an answer


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; from driftline.__main__ import main; main()"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr == "driftline: typer is missing: pip install 'driftline[cli]'\n"
