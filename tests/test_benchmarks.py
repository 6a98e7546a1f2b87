"""The benchmarks run, print their tables, and refuse to time what they have not counted."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks import audience, disruptor, hub, latency, tokio, zio
from benchmarks.audience import Miscount
from benchmarks.contenders import AsyncioQueues
from benchmarks.loops import ASYNCIO

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
PLOTS = {"deliveries", "latency", "memory", "publish_cost", "ws", "ws_patterns"}

FAULTY = """
from benchmarks import audience, deliveries, loops, peers, peers_memory
from benchmarks.contenders import AsyncioQueues
from benchmarks.peers_contenders import Entry, PlainHolding

audience.PATIENCE = 0.1

class Faulty(AsyncioQueues[int]):
    def publish(self, value: int) -> None:
        super().publish(value)
        if value == 50:  # in the burst, so that more are in the queue
            queue = self.clients[1]
            {fault}

loops.ASYNCIO.run({measure})
"""
COUNTED = {
    "contenders": "deliveries.turn, loops.ASYNCIO, Faulty, deliveries.Size(3, 10, 1, 1)",
    "peers": "peers.turn, Entry(lambda: PlainHolding(Faulty()), '', ''), peers.Size(3, 10, 1, 1)",
    "stalled peers": "peers_memory.weigh, lambda: PlainHolding(Faulty()), 3, 100, None",
}
KEEPS_MORE = "peers_memory.weigh, lambda: PlainHolding(Faulty()), 3, 100, 60"

CALLBACKS = ["reactivex Subject", "blinker signal"]

BARE = """
import shutil
from benchmarks import peers_contenders

shutil.which = lambda *arguments, **options: None
peers_contenders.present = lambda distribution: False

from benchmarks import peers
for table in peers.tables(lambda steps, description: steps, True):
    print(table.markdown())
"""

FAULTY_WEBSOCKETS = """
from benchmarks import ws_server
from benchmarks.loops import ASYNCIO
from benchmarks.ws_contenders import BROADCAST, MAKE, Broadcast, broadcast

ws_server.PATIENCE = 0.3

class Faulty(Broadcast):
    def publish(self, message: str) -> None:
        if '"number":2,' in message:
            {fault}
        super().publish(message)

MAKE[BROADCAST] = Faulty
kinds = {{BROADCAST: ws_server.PLAIN}}
arguments = {{"kinds": kinds, "size": 100, "burst": 1, "ticks": 5, "rounds": 1}}
server = ws_server.Server("asyncio", [ws_server.PLAIN], 7, 0, [("cost", arguments)])
ASYNCIO.run(server.measure)
"""


FAULTY_RIVAL = """
from benchmarks import ws_server
from benchmarks.ws_contenders import MAKE, NATIVE, ROOM, Members

ws_server.PATIENCE = 0.3

class Faulty(Members):
    async def publish(self, message: str) -> None:
        if '"number":2,' in message:
            {fault}
        await ws_server.publish(super(), message)

MAKE[{kind}] = Faulty
arguments = {{"kinds": {{{kind}: {kind}}}, "size": 100, "burst": 1, "ticks": 5, "rounds": 1}}
server = ws_server.Server("", [{kind}], 7, 0, [("cost", arguments)])
ws_server.RUN[NATIVE if {kind} == NATIVE else "asyncio"](server.measure)
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


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

    result = run("-m", "benchmarks", "--quick", name, *options)

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


@pytest.mark.parametrize("readers", COUNTED)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("queue.get_nowait()", id="lost"),
        pytest.param("queue.put_nowait(value)", id="twice"),
        pytest.param("queue.get_nowait(); queue.put_nowait(8)", id="another"),
        pytest.param("queue.put_nowait(queue.get_nowait())", id="out of order"),
    ],
)
def test_a_miscount_is_caught(fault: str, readers: str) -> None:
    result = run("-c", FAULTY.format(fault=fault, measure=COUNTED[readers]))

    assert result.returncode != 0
    assert re.search(r"Miscount: .* not receive exactly", result.stderr)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        pytest.param(
            "broadcast([*self.connections[:1], *self.connections[2:]], message); return",
            "bytes, not",
            id="lost",
        ),
        pytest.param("broadcast(self.connections[2:3], message)", "bytes, not", id="twice"),
        pytest.param("message = message.upper()", "another message", id="another"),
    ],
)
def test_a_miscount_of_websocket_clients_is_caught(fault: str, found: str) -> None:
    result = run("-c", FAULTY_WEBSOCKETS.format(fault=fault))

    assert result.returncode != 0
    assert "Miscount: no compression: " in result.stderr
    assert found in result.stderr


@pytest.mark.parametrize(
    ("kind", "fault", "found"),
    [
        pytest.param("ROOM", "return", "another message", id="lost"),
        pytest.param("ROOM", "message = message.upper()", "another message", id="another"),
        pytest.param(
            "ROOM", "self.members[2].transport.write(bytes([129, 0]))", "bytes, not", id="one more"
        ),
        pytest.param("NATIVE", "super().publish(message)", "another message", id="twice"),
    ],
)
def test_a_miscount_of_clients_of_other_servers_is_caught(
    kind: str, fault: str, found: str
) -> None:
    result = run("-c", FAULTY_RIVAL.format(kind=kind, fault=fault))

    assert result.returncode != 0
    assert "Miscount: " in result.stderr
    assert found in result.stderr


def test_the_miscount_of_clients_of_other_servers_is_in_the_fault() -> None:
    result = run("-c", FAULTY_RIVAL.format(kind="ROOM", fault="pass"))

    assert result.returncode == 0, result.stderr


def test_the_miscount_of_websocket_clients_is_in_the_fault() -> None:
    result = run("-c", FAULTY_WEBSOCKETS.format(fault="pass"))

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("readers", COUNTED)
def test_the_miscount_is_in_the_fault(readers: str) -> None:
    result = run("-c", FAULTY.format(fault="pass", measure=COUNTED[readers]))

    assert result.returncode == 0, result.stderr


def test_a_peer_keeps_no_more_than_the_table_says() -> None:
    result = run("-c", FAULTY.format(fault="pass", measure=KEEPS_MORE))

    assert result.returncode != 0
    assert "Miscount: more than 60 messages were pending" in result.stderr


LOSING = """
from benchmarks import limit_cost, stalled
from driftline import Subscription, Topic

receive = Subscription.receive_nowait
Subscription.receive_nowait = lambda subscription: {receive}
{measure}
"""
MEASURES = [
    "limit_cost.stalls(lambda: Topic(limit=10), 100)",
    "c = stalled.Limited(10); [c.publish(0) for _ in range(100)]; c.verify()",
]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_reader_that_drops_messages_breaks_the_law(measure: str) -> None:
    dropping = LOSING.format(
        receive="(receive(subscription), receive(subscription))[0]", measure=measure
    )
    result = run("-c", dropping)

    assert result.returncode != 0
    assert "Miscount: received 5 messages, but counts 10" in result.stderr

    result = run("-c", LOSING.format(receive="receive(subscription)", measure=measure))
    assert result.returncode == 0, result.stderr


def test_a_hub_cuts_off_who_never_reads_and_the_others_get_all() -> None:
    found = hub.run("asyncio", hub.QUICK, hub.QUICK.stalled)
    assert len(found.cut) == hub.QUICK.stalled
    published = hub.QUICK.rate * max(found.cut) * hub.KIBIBYTE
    assert max(found.cut) < 5 or published < hub.MEBIBYTE
    assert len(found.late) >= 5 * hub.QUICK.rate * hub.QUICK.seconds
    assert found.grown < 64 * hub.MEBIBYTE


Others = Callable[[Any], list[Any]]
Found = AbstractContextManager[object]


class Fault:
    """Turns one value in a stream of them into others."""

    def __init__(self, others: Others) -> None:
        self.others = others
        self.seen = 0

    def __call__(self, value: Any) -> list[Any]:
        self.seen += 1
        return self.others(value) if self.seen == 2 else [value]


miscount = pytest.RaisesGroup(Miscount, allow_unwrapped=True, flatten_subgroups=True)
with_faults = pytest.mark.parametrize(
    ("others", "found"),
    [
        pytest.param(lambda value: [value], nullcontext(), id="none"),
        pytest.param(lambda value: [], miscount, id="lost"),
        pytest.param(lambda value: [value, value], miscount, id="twice"),
        pytest.param(lambda value: [value + 1], miscount, id="another"),
    ],
)


@with_faults
def test_a_wrong_drain_is_caught(others: Others, found: Found) -> None:
    def make(receivers: int) -> tokio.Channel:
        publish, [drain, *drains] = tokio.one_by_one(receivers)
        fault = Fault(others)
        return tokio.Channel(
            publish, [lambda: [value for taken in drain() for value in fault(taken)], *drains]
        )

    with found:
        ASYNCIO.run(tokio.turn, make, tokio.Size(3, 2))


@with_faults
def test_a_wrong_send_is_caught(
    others: Others, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(zio.Queues):
        def __init__(self) -> None:
            super().__init__(2)
            self.fault = Fault(others)

        async def send(self, value: int) -> None:
            first, *clients = self.clients
            for sent in self.fault(value):
                await first.put(sent)
            for client in clients:
                await client.put(value)

    monkeypatch.setattr(audience, "PATIENCE", 0.1)
    shape = zio.Shape("back pressure", zio.with_back_pressure, 3, 10, 2)
    with found:
        ASYNCIO.run(zio.turn, ASYNCIO, Faulty, shape)


class FaultyTopics(disruptor.Topics):
    """Topics whose consumers get something else."""

    def __init__(self, others: Others) -> None:
        super().__init__()
        self.others = others

    def subscribe(self) -> Iterator[int]:
        fault = Fault(self.others)
        return (value for taken in super().subscribe() for value in fault(taken))


@with_faults
def test_a_wrong_result_of_a_thread_is_caught(others: Others, found: Found) -> None:
    with found:
        disruptor.multicast(partial(FaultyTopics, others), 10)


@with_faults
def test_a_wrong_hop_is_caught(others: Others, found: Found) -> None:
    with found:
        disruptor.relay(partial(FaultyTopics, others), 1000, 10)


def test_a_thread_that_waits_for_ever_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(disruptor.Topics):
        def __init__(self) -> None:
            super().__init__()
            self.close = lambda error=None: None

    monkeypatch.setattr(disruptor, "PATIENCE", 0.1)
    with pytest.raises(Miscount, match="add waits for messages that do not come"):
        disruptor.multicast(Endless, 10)


@pytest.mark.parametrize("slow", [0, 3])
@with_faults
def test_a_wrong_delivery_in_time_is_caught(
    others: Others, found: Found, slow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(AsyncioQueues[float]):
        fault = Fault(others)

        def publish(self, value: float) -> None:
            first, *clients = self.clients
            for sent in self.fault(value):
                first.put_nowait(sent)
            for client in clients:
                client.put_nowait(value)

    monkeypatch.setattr(latency, "PATIENCE", 0.1)
    monkeypatch.setattr(latency, "RATE", 100)
    monkeypatch.setattr(latency, "PAUSE", 0.001)
    with found:
        ASYNCIO.run(latency.turn, ASYNCIO, Faulty, latency.Size(3, 5, 1), slow)


@pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(),
    reason="only the project's .venv has what the dependency group `bench` names",
)
def test_every_peer_has_figures(tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    result = run("-m", "benchmarks", "--quick", "peers", "--json", str(report))

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
    result = run("-c", BARE)

    assert result.returncode == 0, result.stderr
    for peer in ("broadcaster, memory", "Redis pub/sub, loopback", "janus.Queue per client"):
        rows = [line for line in result.stdout.splitlines() if f"| {peer} " in line]
        assert "not installed" in rows[0]
    assert re.search(r"\| one +\| driftline +\| \d", result.stdout)


def test_an_unknown_name_is_refused() -> None:
    result = run("-m", "benchmarks", "nothing")

    assert result.returncode == 2
    assert "there are deliveries" in result.stderr
