"""`driftline tail`, as a process: what it prints, and how it comes back and ends."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import anyio
import anyio.to_thread
import pytest

from driftline import Bus
from driftline.hub import serve
from programs import DRIFTLINE, PATIENCE, Program, RunningHub, proxy, run

pytestmark = pytest.mark.once


def test_it_prints_values_a_line_each(hub: RunningHub) -> None:
    hub.publish("kinds", "text", "größe", {"a": [1, None]}, 17, b"\xff\x00")
    arguments = ["tail", hub.address, "kinds", "--replay", "9", "-n", "5"]
    plain = subprocess.run([*DRIFTLINE, *arguments], capture_output=True, timeout=30)
    assert plain.stdout == b'text\ngr\xc3\xb6\xc3\x9fe\n{"a":[1,null]}\n17\n\xff\x00\n'
    assert (plain.returncode, plain.stderr) == (0, b"")
    topics = subprocess.run([*DRIFTLINE, *arguments, "--topics"], capture_output=True, timeout=30)
    assert topics.stdout.splitlines()[0] == b"kinds text"


def test_json_has_topic_number_time_and_value(hub: RunningHub) -> None:
    hub.publish("objects.one", "text", "two\nlines")
    hub.publish("objects.two", {"a": 1}, b"\xff")
    finished = run("tail", hub.address, "objects.*", "--replay", "9", "-n", "4", "--json")
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    assert all(row.pop("at") > 1_700_000_000 for row in rows)
    assert rows == [
        {"topic": "objects.one", "seq": 1, "value": "text"},
        {"topic": "objects.one", "seq": 2, "value": "two\nlines"},
        {"topic": "objects.two", "seq": 1, "value": {"a": 1}},
        {"topic": "objects.two", "seq": 2, "base64": "/w=="},
    ]


def test_it_goes_on_where_it_was_when_the_connection_is_cut(hub: RunningHub) -> None:
    with proxy(hub.port) as between, hub.tail("cut", port=between.port) as tail:
        for n in range(3):
            hub.publish("cut", f"{n} before")
            assert tail.out.next() == f"{n} before"
            between.cut()
            tail.err.wait_for(r"the connection is lost \(.+\); trying again")
            hub.publish("cut", f"{n} while it was cut")
            between.mend()
            tail.err.wait_for("connected again; nothing is lost")
            assert tail.out.next() == f"{n} while it was cut"
        assert tail.interrupt() == 130
        assert tail.out.rest() == []


def test_it_survives_a_restart_of_the_hub() -> None:
    with RunningHub() as first:
        tail = first.tail("logs", name="survivor")
        first.publish("logs", "before")
        assert tail.out.next() == "before"
        assert first.terminate() == 0
    with tail:
        tail.err.wait_for(r"the connection is lost")
        with RunningHub(port=first.port) as second:
            tail.err.wait_for("connected again, .* what came meanwhile is lost")
            second.wait_for_reader("survivor")
            second.publish("logs", "after")
            assert tail.out.next() == "after"


def test_it_leaves_no_place_behind_when_it_has_enough() -> None:
    async def main() -> None:
        bus = Bus(replay=1)
        topic = bus.topic("left", keep=True)
        topic.publish("x")
        async with serve(bus, port=0) as hub:
            arguments = ["tail", f"localhost:{hub.port}", "left", "--replay", "1", "-n", "1"]
            finished = await anyio.to_thread.run_sync(lambda: run(*arguments))
            assert (finished.returncode, finished.stdout) == (0, "x\n")
            assert topic.statistics().parked == 0

    anyio.run(main)


def test_a_pipe_that_nobody_reads_any_more_ends_it_quietly(hub: RunningHub) -> None:
    hub.publish("head", "first")
    command = " ".join([*DRIFTLINE, "tail", hub.address, "head", "--replay", "9"])
    # Nothing more is published, so no write tells.
    finished = subprocess.run(
        ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "first\n", "")


def test_signals_end_it_as_shells_expect(hub: RunningHub) -> None:
    with hub.tail("silence") as tail:
        assert tail.interrupt() == 130
        assert tail.err.rest() == []
    with hub.tail("silence") as tail:
        assert tail.terminate() == 143
        assert tail.err.rest() == []


def test_whoever_reads_too_slowly_is_told_what_was_missed() -> None:
    reading, writing = os.pipe()
    with RunningHub("--limit", "10") as hub, hub.tail("flood", stdout=writing) as tail:
        os.close(writing)
        for look in hub.watch():
            # More than the limit, and so more than can still be had.
            if any("not" not in row["name"] and row["lag"] > 20 for row in look["readers"]):
                break
            hub.publish("flood", *[os.urandom(200_000).hex() for _ in range(30)])
        with open(reading, "rb") as pipe:
            reader = Thread(target=pipe.read)
            reader.start()
            tail.err.wait_for(r"missed [\d,]+ messages, which came faster than they were read")
            assert tail.interrupt() == 130
            reader.join(PATIENCE)


def test_ctrl_c_is_heard_while_nobody_reads_what_it_prints(hub: RunningHub) -> None:
    reading, writing = os.pipe()
    with hub.tail("stuck", stdout=writing) as tail:
        os.close(writing)
        hub.publish("stuck", *["x" * 50_000] * 3)
        assert os.read(reading, 1) == b"x"  # it is at it, with more than the pipe takes
        assert tail.interrupt() == 130
    os.close(reading)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("none.invalid:1", "there is no host none.invalid:1, or no network"),
        ("127.0.0.1:1", "nobody listens at 127.0.0.1:1; `driftline serve` starts a hub"),
    ],
)
def test_a_hub_that_is_not_there_is_one_line(address: str, reason: str) -> None:
    finished = run("tail", address, "logs")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr == f"driftline: {reason}\n"


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_another_server_is_no_hub() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        finished = run("tail", f"http://127.0.0.1:{server.server_port}/", "logs")
    finally:
        server.shutdown()
        server.server_close()
    assert finished.returncode == 1
    assert finished.stderr.startswith(
        f"driftline: 127.0.0.1:{server.server_port} refuses with HTTP 404"
    )
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a..b"], "the hub refuses: "),
        (["logs", "--name", "n" * 101], "at most 100 characters"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: RunningHub, arguments: list[str], reason: str
) -> None:
    finished = run("tail", hub.address, *arguments)
    assert finished.returncode == 1
    assert reason in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_closed_standard_output_is_one_line(hub: RunningHub, tmp_path: Path) -> None:
    command = " ".join([*DRIFTLINE, "tail", hub.address, "logs"])
    finished = subprocess.run(
        ["bash", "-c", f"{command} >&-"], capture_output=True, text=True, timeout=30
    )
    assert finished.returncode == 1
    assert finished.stderr == "driftline: standard output is closed\n"


def test_a_file_takes_what_it_prints(hub: RunningHub, tmp_path: Path) -> None:
    hub.publish("file", "to a file")
    path = tmp_path / "out"
    with path.open("wb") as file:
        program = Program(
            *DRIFTLINE, "tail", hub.address, "file", "--replay", "1", "-n", "1", stdout=file
        )
    with program:
        assert program.wait() == 0
    assert path.read_text() == "to a file\n"
