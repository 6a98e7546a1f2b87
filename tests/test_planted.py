"""The planted faults can be planted, and who plants them tells when one is not found.

`python -m planted` plants them all, and `python -m mutation` makes small changes all over the code;
both take minutes, and are no part of the tests.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mutation.change import changes
from mutation.equivalent import read_equivalents
from planted.fault import Fault, read_faults
from planted.trial import PACKAGE, ROOT

pytestmark = pytest.mark.once

TESTS = Path(__file__).parent
FAULTS = read_faults()

HARMLESS = """
[[fault]]
label = "none"
breaks = "a docstring says something else"
file = "_core/report.py"
old = "Reporting errors"
new = "Telling of errors"
tests = ["core/test_resume.py::test_a_malformed_token_is_refused"]

[[fault]]
label = "some"
breaks = "a malformed token is taken"
file = "_core/message.py"
old = "        if found is None:"
new = "        if False:"
tests = ["core/test_resume.py::test_a_malformed_token_is_refused"]

[[fault]]
label = "all"
breaks = "it cannot be imported"
file = "_core/report.py"
old = "from __future__ import annotations"
new = "from __future__ import what_is_to_come"
tests = ["core/test_resume.py::test_a_malformed_token_is_refused"]
"""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.label}-{fault.breaks}")
def test_a_fault_can_be_planted_and_names_tests_that_exist(fault: Fault) -> None:
    text = (ROOT / PACKAGE / fault.file).read_text(encoding="utf-8")
    ast.parse(fault.planted(text))
    assert fault.tests
    for test in fault.tests:
        file, _, rest = test.partition("::")
        name = rest.partition("[")[0]
        assert not name or f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), test


def test_there_are_many_faults_and_no_two_alike() -> None:
    assert len(FAULTS) >= 40
    what = Counter((fault.label, fault.file, fault.old, fault.new) for fault in FAULTS)
    assert max(what.values()) == 1


@pytest.mark.parametrize("text", ["", "old old"])
def test_a_fault_whose_place_is_gone_or_twice_there_is_refused(text: str) -> None:
    fault = Fault("K1", "nothing", "file.py", "old", "new", ())
    with pytest.raises(ValueError, match=r"K1: file\.py has [02] of 'old'"):
        fault.planted(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="tests are run in forked children")
def test_a_fault_that_is_not_found_is_told_of(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(HARMLESS)
    run = subprocess.run(
        [sys.executable, "-m", "planted", "--faults", str(faults)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 1, run.stderr
    assert "2 of 3 planted faults were caught" in run.stdout
    assert "a docstring says something else: passes" in run.stderr
    assert "a malformed token is taken: fails" in run.stderr
    assert "it cannot be imported: fails" in run.stderr


# Small changes.


def code(tmp_path: Path, body: str) -> set[str]:
    (tmp_path / "some.py").write_text(f"def some(a, b):\n    {body}\n")
    return {str(change).partition(": ")[2] for change in changes(tmp_path, "some.py")}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return a < b", {"return a < b -> return None", "a < b -> ((a) <= (b))"}),
        ("return a and b", {"return a and b -> return None", "a and b -> ((a) or (b))"}),
        ("return", set()),
        ("'A docstring.'", set()),
        ("a(1)", {"a(1) -> pass", "1 -> 2"}),
        ("a += b", {"a += b -> pass", "a += b -> a -= b"}),
        ("return not a", {"return not a -> return None", "not a -> (a)"}),
        ("if a: raise b", {"a -> (not (a))", "raise b -> pass"}),
        ("x: int = a", {"x: int = a -> pass"}),
    ],
)
def test_changes_of_code(tmp_path: Path, body: str, found: set[str]) -> None:
    assert code(tmp_path, body) == found


def test_a_change_is_made_where_it_stands(tmp_path: Path) -> None:
    text = "class Some:\n    def some(a):\n        é = a(a - 1)\n        return é\n"
    (tmp_path / "some.py").write_text(text, encoding="utf-8")
    made = {change.made(text) for change in changes(tmp_path, "some.py")}
    assert text.replace("a - 1", "((a) + (1))") in made
    assert text.replace("return é", "return None") in made
    assert len(made) == 4


def test_what_is_listed_as_equivalent_is_one_change() -> None:
    for row in read_equivalents():
        assert row.reason
        assert sum(map(row.covers, changes(ROOT / PACKAGE, row.file))) == 1, row
