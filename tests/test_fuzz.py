"""The fuzzer finds what was planted. `make fuzz` asks this before it looks for anything else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FOUND_BY = {
    "star": "matches",
    "zero": "or_refused",
    "length": "is_taken_or_refused",
}


@pytest.mark.parametrize(("defect", "name"), FOUND_BY.items(), ids=FOUND_BY)
def test_a_planted_defect_is_found(defect: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is in the environment of `make fuzz` only")
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seconds", "60", "--planted", defect],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode
    assert "Uncaught Python exception" in result.stdout + result.stderr
    assert re.search(rf"in test_\w+{name}", result.stdout + result.stderr)
