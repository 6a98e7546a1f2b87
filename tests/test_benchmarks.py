"""The benchmarks run and print their tables."""

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks import hub

from interpreter import python

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        Path(sys.prefix).resolve() != (Path(__file__).parents[1] / ".venv").resolve(),
        reason="only the project's .venv has what the dependency group `bench` names",
    ),
]

PLOTS = {"deliveries", "latency", "memory", "publish_cost", "ws", "ws_patterns"}

CALLBACKS = ["reactivex Subject", "blinker signal"]

BARE = """
import shutil
from benchmarks import measure

shutil.which = lambda *arguments, **options: None
measure.present = lambda name: False

from benchmarks import peers
for table in peers.tables(lambda steps, description: steps, True):
    print(table.markdown())
"""


@pytest.mark.parametrize(
    ("name", "title", "contenders"),
    [
        (
            "deliveries",
            "Deliveries a second, one publish per wake-up: trio",
            ["driftline", "trio memory channel per client", "floor: one task switch each"],
        ),
        (
            "memory",
            "Bytes per pending message, beside the payload",
            ["driftline", "driftline with sizeof", "asyncio.Queue per client"],
        ),
        (
            "limit_cost",
            "Microseconds for one publish(), with a limit and without",
            ["no limit", "limit=10_000", "limit=1", "limit_bytes=1_280_000", "replay=1000"],
        ),
        (
            "profile",
            "Where the time of a delivery goes: asyncio",
            ["the event loop: stepping tasks", "driftline: reading", "floor: one task switch each"],
        ),
        (
            "bus_memory",
            "Growth of a process in which 5,000 names or patterns come and go on a bus",
            ["names, published to once", "patterns, subscribed to and dropped"],
        ),
        (
            "bus_cost",
            "Microseconds for one publish(), by topic and by name",
            [
                "Topic.publish",
                "bus.publish",
                "bus.publish, 1,000 patterns, 3 match",
                "bus.publish, a new name each time",
            ],
        ),
        (
            "stalled",
            "Most that was pending with one stalled reader and limit=10_000",
            ["messages", "bytes"],
        ),
        (
            "letting_go",
            "Largest gap of a 1 ms heartbeat while 200,000 pending messages are let go",
            ["asyncio | nothing (control)", "trio    | nothing (control)"],
        ),
        (
            "hub",
            "A hub with 9 clients that read, and others that never do",
            ["asyncio | 0", "uvloop  | 0", "        | 1"],
        ),
        (
            "ws",
            "Microseconds of the server for one delivered message: ten messages in a tick, deflate",
            [
                "asyncio | 20      | broadcast()",
                "uvloop  | 20      | broadcast()",
                "        |         | PubSub and send()",
                "        |         | driftline relay, without serve_options()",
                "        |         | driftline relay",
                "        |         | floor: transport.write()",
            ],
        ),
        (
            "latency",
            "Milliseconds from when a message was due until 20 readers have it",
            [
                "asyncio | asyncio.Queue per client",
                "trio    | trio memory channel per client",
                "        | driftline",
            ],
        ),
        (
            "tokio",
            "Microseconds to publish 256 values and drain all receivers without waiting",
            [
                "asyncio.Queue per client",
                "driftline",
                "driftline, batches",
                "floor: collections.deque per client",
            ],
        ),
        (
            "zio",
            "Deliveries a second in the shapes of the benchmark of ZIO's hub: asyncio",
            [
                "back pressure               | asyncio.Queue per client",
                "parallel                    | asyncio.Queue per client",
                "                            | documented list of futures",
                "                            | driftline",
                "back pressure, 1 subscriber | asyncio.Queue per client",
            ],
        ),
        (
            "disruptor",
            "Microseconds from when a message was due, over three hops, at 1,000 a second",
            [
                "queue.Queue per consumer       | A",
                "queue.SimpleQueue per consumer | A",
                "culsans.Queue per consumer     | A",
                "driftline                      | A",
            ],
        ),
        (
            "ws_patterns",
            "WebSocket deliveries by pattern: 20 clients, 1 KiB, 50 a second",
            [
                "asyncio | send() in a loop           | naive  ",
                "        | task for each send()       | task   ",
                "        | tasks, and wait for all    | wait   ",
                "        | broadcast()                | default",
                "        | Queue and send()           | queue  ",
                "        | PubSub and send()          | pubsub ",
                "        | driftline topic and send() | -      ",
                "        | driftline relay            | -      ",
                "        | floor: transport.write()   | -      ",
                "        | python-socketio room       | -      ",
                "        | socketify topic            | -      ",
            ],
        ),
    ],
)
def test_a_benchmark_prints_its_table(
    name: str, title: str, contenders: list[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    options = ["--json", str(report), "--plots", str(tmp_path)]

    result = python("-m", "benchmarks", "--quick", name, *options)

    assert result.returncode == 0, result.stderr
    _, found, text = result.stdout.partition(f"## {title}\n")
    assert found, result.stdout
    table, _, notes = text.partition("\n- ")
    for contender in contenders:
        assert f"| {contender} " in table
    assert "- Machine: " in notes
    [measured] = json.loads(report.read_text(encoding="utf-8"))
    assert title in [table["title"] for table in measured["benchmarks"][name]["tables"]]
    for plot in tmp_path.glob("*.svg"):
        assert ElementTree.parse(plot).getroot().tag.endswith("svg")
    assert [plot.stem for plot in tmp_path.glob("*.svg")] == [name] * (name in PLOTS)


def test_a_hub_cuts_off_who_never_reads_and_the_others_get_all() -> None:
    found = hub.run("asyncio", hub.QUICK, hub.QUICK.stalled)
    assert len(found.cut) == hub.QUICK.stalled
    published = hub.QUICK.rate * max(found.cut) * hub.KIBIBYTE
    assert max(found.cut) < 5 or published < hub.MEBIBYTE
    assert len(found.late) >= 5 * hub.QUICK.rate * hub.QUICK.seconds
    assert found.grown < 64 * hub.MEBIBYTE


def test_every_peer_has_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    result = python("-m", "benchmarks", "--quick", "peers", "--json", str(report))

    assert result.returncode == 0, result.stderr
    assert "not installed" not in result.stdout
    [measured] = json.loads(report.read_text(encoding="utf-8"))
    rates, ratios, cost, memory, threads, guarantees = measured["benchmarks"]["peers"]["tables"]
    for table, figures in ((rates, [2]), (ratios, [3]), (cost, [1]), (threads, [1])):
        for row in table["rows"]:
            assert all(row[column][0].isdigit() for column in figures), row
    assert [row[0] for row in memory["rows"] if row[2] == "-"] == CALLBACKS
    assert {row[1] for row in rates["rows"]} > {row[0] for row in memory["rows"]}
    for mode in ("single", "burst"):
        for name, rounds in rates["samples"][mode].items():
            assert len(rounds["10"]) == 2, name
    tried = {row[0]: (row[2][:3], row[6][:3]) for row in guarantees["rows"]}
    assert tried["driftline"] == ("yes", "yes")
    assert tried["asyncio.Queue per client"] == ("no:", "yes")
    assert tried["documented list of futures"] == ("no:", "no:")


def test_peers_that_are_not_installed_are_left_out() -> None:
    result = python("-c", BARE)

    assert result.returncode == 0, result.stderr
    for peer in ("broadcaster, memory", "Redis pub/sub, loopback", "janus.Queue per client"):
        rows = [line for line in result.stdout.splitlines() if f"| {peer} " in line]
        assert "not installed" in rows[0]
    assert re.search(r"\| one +\| driftline +\| \d", result.stdout)


def test_an_unknown_name_is_refused() -> None:
    result = python("-m", "benchmarks", "nothing")

    assert result.returncode == 2
    assert "there are deliveries" in result.stderr
