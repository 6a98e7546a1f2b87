"""The benchmarks run, print their tables, and refuse to time what they have not counted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FAULTY = """
from benchmarks import audience, deliveries, loops
from benchmarks.contenders import AsyncioQueues

audience.PATIENCE = 0.1

class Faulty(AsyncioQueues[int]):
    def publish(self, value: int) -> None:
        super().publish(value)
        if value == 50:  # in the burst, so that more are in the queue
            queue = self.clients[1]
            {fault}

loops.ASYNCIO.run(deliveries.turn, loops.ASYNCIO, Faulty, deliveries.Size(3, 10, 1, 1))
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
    ],
)
def test_a_benchmark_prints_its_table(
    name: str, title: str, contenders: list[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"

    result = run("-m", "benchmarks", "--quick", name, "--json", str(report))

    assert result.returncode == 0, result.stderr
    _, found, text = result.stdout.partition(f"## {title}\n")
    assert found, result.stdout
    table, _, notes = text.partition("\n- ")
    for contender in contenders:
        assert f"| {contender} " in table
    assert "- Machine: " in notes
    [measured] = json.loads(report.read_text(encoding="utf-8"))
    assert title in [table["title"] for table in measured["benchmarks"][name]]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("queue.get_nowait()", id="lost"),
        pytest.param("queue.put_nowait(value)", id="twice"),
        pytest.param("queue.get_nowait(); queue.put_nowait(8)", id="another"),
        pytest.param("queue.put_nowait(queue.get_nowait())", id="out of order"),
    ],
)
def test_a_miscount_is_caught(fault: str) -> None:
    result = run("-c", FAULTY.format(fault=fault))

    assert result.returncode != 0
    assert "Miscount: 1 of 3 readers did not receive exactly" in result.stderr


def test_the_miscount_is_in_the_fault() -> None:
    result = run("-c", FAULTY.format(fault="pass"))

    assert result.returncode == 0, result.stderr


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


def test_an_unknown_name_is_refused() -> None:
    result = run("-m", "benchmarks", "nothing")

    assert result.returncode == 2
    assert "there are deliveries" in result.stderr
