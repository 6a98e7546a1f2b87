"""The benchmarks that say where time goes, and what compiled code would bring."""

import asyncio
import subprocess
import weakref
from pathlib import Path

import pytest
from benchmarks import compiled
from benchmarks import where_time_goes as profile
from benchmarks.loops import ASYNCIO

from interpreter import python

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent


def test_time_is_charged_to_the_innermost_that_has_a_part() -> None:
    parking = profile.CORE / "_core" / "parking" / "on_asyncio.py"
    code = parking.read_text().splitlines()
    step = next(number for number, line in enumerate(code, 1) if profile.STEP in line)
    wake = profile.Frame(str(parking), 1, "_wake")
    read = profile.Frame(str(profile.BENCHMARKS / "contenders.py"), 1, "read")
    reading = profile.Frame(str(profile.CORE / "_core" / "subscription.py"), 1, "__anext__")
    enter = profile.Frame(str(parking.with_name("base.py")), 1, "enter")
    loop = profile.Frame(asyncio.events.__file__, 1, "_run")
    served = profile.Frame(weakref.__file__, 1, "get")

    assert profile.part([wake, loop]) == profile.WAKING
    assert profile.part([wake._replace(line=step), loop]) == profile.LOOP
    assert profile.part([read, wake._replace(line=step), loop]) == profile.READER
    assert profile.part([reading, read, wake, loop]) == profile.READING
    assert profile.part([served, enter, reading, read, wake, loop]) == profile.READING
    assert profile.part([served, enter, wake, loop]) == profile.WAKING
    assert profile.part([loop, reading, read, wake]) == profile.LOOP


@pytest.mark.skipif(not profile.SAMPLED, reason="no timer that samples")
def test_samples_are_taken_and_what_goes_wrong_there_is_an_error() -> None:
    shape = profile.SHAPES[0]
    assert profile.sample(ASYNCIO, shape, 0.1).total() > 5
    with pytest.raises(subprocess.CalledProcessError):
        profile.sample(ASYNCIO, shape._replace(title="none"), 0.1)


def test_the_benchmark_of_compiled_code_says_what_is_missing() -> None:
    program = (
        "import os; os.environ['CC'] = 'no-such-compiler'\n"
        "from benchmarks import compiled\n"
        "[table] = compiled.tables(lambda steps, description: steps, True)\n"
        "print(table.markdown())"
    )
    result = python("-c", program)

    assert result.returncode == 0, result.stderr
    assert "| no C compiler |" in result.stdout


def test_it_is_noticed_when_another_driftline_is_measured_than_was_compiled(tmp_path: Path) -> None:
    for wrong in ([str(ROOT / "src"), "topic"], [str(tmp_path), ""]):
        result = python("-m", "benchmarks.compiled", *wrong, "quick")
        assert result.returncode != 0
        assert "Miscount: what was measured is not what was compiled" in result.stderr


def test_compiled_code_is_measured_where_it_can_be_made() -> None:
    result = python("-m", "benchmarks", "compiled", "--quick")

    assert result.returncode == 0, result.stderr
    without = compiled.missing()
    found = f"| {without} |" if without else "| a delivery, one by one, asyncio "
    assert found in result.stdout
