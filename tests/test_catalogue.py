"""`catalogue.md` has every fault, and says of each what shows that it does not happen here."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from every_test import Test, find_tests, named_tests

pytestmark = pytest.mark.once

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "driftline"
GROUPS = {"A": 9, "B": 13, "C": 12, "D": 11, "E": 12, "F": 12, "G": 9}
LABELS = [f"{group}{n}" for group, size in GROUPS.items() for n in range(1, size + 1)]
# Their names carry labels of what is wrong with other designs, and not of rows.
OF_THE_MEANS_OF_PROOF = "test_proof.py"


class Row(NamedTuple):
    label: str
    fault: str
    shown_by: str

    @property
    def tests(self) -> list[Test]:
        return named_tests(self.shown_by)

    @property
    def leaves(self) -> list[str]:
        return re.findall(r"waits for `driftline\.(\w+)`", self.shown_by)

    @property
    def has_reason(self) -> bool:
        return re.search(r"not (ours|run): \w", self.shown_by) is not None


def read_rows(table: str) -> list[Row]:
    return [
        Row(*cells)
        for cells in re.findall(r"^\| ([A-Z]\d+) \| (.+) \| (.*) \|$", table, re.MULTILINE)
    ]


def find_leaves(package: Path) -> set[str]:
    modules = {path.stem for path in package.glob("*.py")}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    return {name for name in modules | packages if not name.startswith("_")}


def complaints(rows: list[Row], tests: set[Test], leaves: set[str], labels: list[str]) -> list[str]:
    return [
        *about_labels(rows, labels),
        *about_proof(rows, tests, leaves),
        *about_names(rows, tests),
    ]


def about_labels(rows: list[Row], labels: list[str]) -> Iterator[str]:
    found = Counter(row.label for row in rows)
    yield from (f"{label} is missing" for label in labels if not found[label])
    yield from (f"{label} is there {count} times" for label, count in found.items() if count > 1)
    yield from (f"{label} is no row of the catalogue" for label in found if label not in labels)


def about_proof(rows: list[Row], tests: set[Test], leaves: set[str]) -> Iterator[str]:
    for row in rows:
        if not (row.tests or row.leaves or row.has_reason):
            yield f"{row.label} has neither test nor reason nor leaf"
        for file, name in row.tests:
            if (file, name) not in tests:
                yield f"{row.label} names {file}::{name}, which does not exist"
        for leaf in row.leaves:
            if leaf in leaves:
                yield f"{row.label} waits for driftline.{leaf}, which is there"


def about_names(rows: list[Row], tests: set[Test]) -> Iterator[str]:
    listed = {(row.label, test) for row in rows for test in row.tests}
    for file, name in sorted(tests):
        if file != OF_THE_MEANS_OF_PROOF:
            for tag in re.findall(r"_([a-g][1-9]\d?)(?=_|$)", name):
                if (tag.upper(), (file, name)) not in listed:
                    yield f"{tag.upper()} does not name {file}::{name}, which carries its label"


def test_every_fault_has_a_test_or_a_reason_or_waits_for_a_leaf() -> None:
    rows = read_rows((TESTS / "catalogue.md").read_text())
    assert not complaints(rows, find_tests(TESTS), find_leaves(PACKAGE), LABELS)


def test_there_are_seventy_eight_rows() -> None:
    assert len(LABELS) == len(set(LABELS)) == 78


# That these checks can fail.

A1 = "| A1 | What happens. | `core/test_one.py::test_a1_holds` |\n"
F1 = "| F1 | What happens. | waits for `driftline.websockets` |\n"
B1 = "| B1 | What happens. | not run: no machine has it |\n"
RIGHT = f"| | What happens | Shown by |\n|---|---|---|\n{A1}{F1}{B1}"
SOME_TESTS = {
    ("core/test_one.py", "test_a1_holds"),
    ("core/test_one.py", "test_something_else"),
    (OF_THE_MEANS_OF_PROOF, "test_b1_fails_elsewhere"),
}


def complaints_about(
    table: str, tests: set[Test] = SOME_TESTS, leaves: frozenset[str] = frozenset({"nats"})
) -> list[str]:
    return complaints(read_rows(table), tests, set(leaves), ["A1", "F1", "B1"])


def test_a_right_table_gives_no_complaint() -> None:
    assert complaints_about(RIGHT) == []


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (RIGHT.replace(B1, ""), "B1 is missing"),
        (RIGHT + B1, "B1 is there 2 times"),
        (RIGHT + B1.replace("B1", "B2"), "B2 is no row of the catalogue"),
        (RIGHT.replace("no machine has it", ""), "B1 has neither test nor reason nor leaf"),
        (RIGHT.replace("not run: ", ""), "B1 has neither test nor reason nor leaf"),
        (RIGHT.replace("driftline.websockets", ""), "F1 has neither test nor reason nor leaf"),
        (
            RIGHT.replace("no machine has it", "`core/test_one.py::test_gone`"),
            "B1 names core/test_one.py::test_gone, which does not exist",
        ),
        (
            RIGHT.replace("no machine has it", "`core/test_two.py::test_something_else`"),
            "B1 names core/test_two.py::test_something_else, which does not exist",
        ),
        (
            RIGHT.replace("test_a1_holds", "test_something_else"),
            "A1 does not name core/test_one.py::test_a1_holds, which carries its label",
        ),
    ],
)
def test_a_wrong_table_is_complained_about(table: str, complaint: str) -> None:
    assert complaint in complaints_about(table)


def test_a_row_without_anything_is_complained_about() -> None:
    found = complaints_about(RIGHT.replace(A1, "| A1 | What happens. |  |\n"))
    assert "A1 has neither test nor reason nor leaf" in found


def test_a_row_that_waits_for_what_is_there_is_complained_about() -> None:
    found = complaints_about(RIGHT, leaves=frozenset({"websockets"}))
    assert found == ["F1 waits for driftline.websockets, which is there"]


@pytest.mark.parametrize("name", ["test_p4_b1_holds", "test_that_b1", "test_b1_f1"])
def test_a_test_that_no_row_names_is_complained_about(name: str) -> None:
    found = complaints_about(RIGHT, SOME_TESTS | {("bus/test_two.py", name)})
    assert f"B1 does not name bus/test_two.py::{name}, which carries its label" in found


def test_tests_and_leaves_are_found_where_they_are(tmp_path: Path) -> None:
    for name in ("_core/__init__.py", "_private.py", "__init__.py", "hub/__init__.py", "nats.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "no_module").mkdir()
    assert find_leaves(tmp_path) == {"hub", "nats"}
    (tmp_path / "hub" / "test_it.py").write_text(
        "def helper(): ...\nasync def test_a(): ...\nclass TestAll:\n    def test_b(self): ...\n"
    )
    assert find_tests(tmp_path) == {("hub/test_it.py", "test_a"), ("hub/test_it.py", "test_b")}
