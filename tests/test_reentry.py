"""Publishing in the middle of publishing loses nothing, and what would lose something is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reentry.ways import WAYS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
ALIKE = {"finalizers-10", "finalizers-30", "finalizers-100"}

PLANTED = """
import sys
import threading
from itertools import count
from driftline import Topic
from driftline._core import turn
from reentry.__main__ import main

publish, link_inbox, numbers = Topic.publish, Topic._link_inbox, count(1)
lock = threading.Lock()

def lose(self, value):
    if next(numbers) % 499:
        publish(self, value)

def repeat(self, value):
    publish(self, value)
    if not next(numbers) % 499:
        publish(self, value)

def wait_for_the_turn(self):
    with lock:
        link_inbox(self)
        self._turn.free = True

sys.modules["reentry.ways.forks"].PATIENCE = 5
{plant}
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def run_planted(
    plant: str, way: str, *, messages: int = 5_000, patience: int = 30
) -> "subprocess.CompletedProcess[str]":
    program = PLANTED.format(plant=plant)
    limits = ("--messages", str(messages), "--patience", str(patience))
    return run("-c", program, *limits, "--only", way)


def test_p1_p4_c1_c2_c4_b9_of_some_thousand_messages_each_comes_once() -> None:
    done = run("-m", "reentry", "--messages", "5000", "--patience", "30")
    assert done.returncode == 0, done.stderr
    for way in WAYS:
        assert f"| {way} | 5,000 | " in done.stdout


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ALIKE])
@pytest.mark.parametrize(
    ("plant", "complaint"), [("lose", "came\n"), ("repeat", "came twice")], ids=["lost", "twice"]
)
def test_what_is_lost_or_comes_twice_is_found(plant: str, complaint: str, way: str) -> None:
    done = run_planted(f"Topic.publish = {plant}", way)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("way", ["finalizers-3", "signals"])
def test_a_lock_that_waits_for_itself_is_found(way: str) -> None:
    if way not in WAYS:
        pytest.skip("this system has no such timer")
    done = run_planted("Topic._link_inbox = wait_for_the_turn", way, patience=3)
    assert done.returncode == 1
    assert done.stderr.count("in wait_for_the_turn\n") >= 2


@pytest.mark.skipif("forks" not in WAYS, reason="this system does not fork")
def test_a_lock_that_stays_taken_in_a_child_is_found() -> None:
    # Most children are forked while it is taken. So one of ten is.
    done = run_planted("Topic._link_inbox = wait_for_the_turn", "forks", messages=50_000)
    assert done.returncode == 1
    assert "forks: AssertionError: a child ended with " in done.stderr
