"""The soak runs, draws, and finds what breaks the law."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from soak.heart import Gaps
from soak.report import tables
from soak.run import Run

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent

DEFECT = """
import sys
from itertools import count
from driftline import Topic
from soak.__main__ import main

publish, numbers = Topic.publish, count(1)

def defective(self, value):
    if not self.name.startswith({topic!r}) or next(numbers) % 200:
        return publish(self, value)
    {defect}

Topic.publish = defective
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_short_soak_does_everything_and_finds_nothing(tmp_path: Path) -> None:
    picture = tmp_path / "new" / "soak.svg"

    result = run("-m", "soak", "--minutes", "0.1", "--seed", "1", "--plot", str(picture))

    # How long a loop computes depends on the machine; a run of seconds is not judged by that.
    broken = [line for line in result.stderr.splitlines() if line.startswith("seed 1: ")]
    assert all(" ms are allowed" in line for line in broken), result.stderr
    assert result.returncode == bool(broken)
    assert "seed 1\n" in result.stderr
    for counted in ("published", "delivered", "missed", "joins", "leaves", "cancels", "epochs"):
        assert f"| {counted} | " in result.stdout
    assert "| memory, MB an hour | " in result.stdout
    assert "| trio, computed under flood (judged) | " in result.stdout
    root = ElementTree.parse(picture).getroot()
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}polyline")) == 3


def test_a_run_that_ends_before_its_first_sample_is_told_of() -> None:
    told = tables(Run(7, (), 0), Gaps(), Gaps(), 0)
    assert "| most that waited to be linked | 0 |" in told


@pytest.mark.parametrize(
    ("topic", "defect"),
    [
        pytest.param("flood.", "return None", id="lost"),
        pytest.param("epoch.", "publish(self, value), publish(self, value)", id="twice"),
    ],
)
def test_a_defect_ends_it_with_the_seed(topic: str, defect: str, tmp_path: Path) -> None:
    program = DEFECT.format(topic=topic, defect=defect)

    picture = str(tmp_path / "soak.svg")
    result = run("-c", program, "--minutes", "0.2", "--seed", "7", "--plot", picture)

    assert result.returncode == 1
    assert "seed 7: " in result.stderr
    assert "LawBroken" in result.stderr
