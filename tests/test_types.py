"""What type checkers are shown in `tests/typing` exists; `make types` has it checked."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

SHOWN = sorted((Path(__file__).parent / "typing").glob("*.py"))


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_what_type_checkers_are_shown_can_be_imported(path: Path) -> None:
    functions = [value for value in runpy.run_path(str(path)).values() if callable(value)]

    assert functions
