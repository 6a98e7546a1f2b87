"""The page that maps the model to the code: what it quotes is there, in both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from model.runs import MUTATIONS

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "driftline" / "_core"
MODEL = (ROOT / "model" / "driftline.pml").read_text()
PAGE = (ROOT / "docs" / "explanation" / "model.md").read_text()
# They are of the properties, and of the size of the search.
STAND_FOR_NO_LINE = {"finish", "free_passed"}


class Row(NamedTuple):
    """One line of a table: a step of the model, and the line of the code that it stands for."""

    step: str
    function: str  # the file's name, a colon, and the qualified name in it
    line: str


def rows(page: str) -> list[Row]:
    pattern = r"^\| `(\w+)` \| `([\w/]+\.py:[\w.]+)` \| `(.+)` \|$"
    return [Row(*cells) for cells in re.findall(pattern, page, re.MULTILINE)]


def steps(model: str) -> dict[str, str]:
    """Return what is written in small letters, each with what it does."""
    looks = re.findall(r"^#define ([a-z]\w*)(.*)$", model, re.MULTILINE)
    changes = re.findall(r"^inline (\w+)\(\w*\)(.*?\}$|.*?^\})", model, re.MULTILINE | re.DOTALL)
    return dict(looks + changes)


def undivided_steps(model: str) -> Iterator[str]:
    """Go through those that do not only put others together."""
    names = steps(model)
    for name, does in names.items():
        if not any(re.search(rf"\b{other}\(", does) for other in names):
            yield name


def mutations(model: str) -> set[str]:
    return set(re.findall(r"\bMUTATION_\w+", model))


def mistakes(row: Row, model: str, source: Path) -> list[str]:
    """Return what is wrong with a row."""
    wrong = []
    if row.step not in steps(model):
        wrong.append(f"{row.step} is not in the model")
    if row.line not in lines_of(row.function, source):
        wrong.append(f"{row.line!r} is not in {row.function} any more")
    return wrong


def lines_of(function: str, source: Path) -> list[str]:
    """Return the lines of a function, stripped; none if there is no such function."""
    file, _, name = function.partition(":")
    text = (source / file).read_text()
    node: ast.AST | None = ast.parse(text)
    for part in name.split("."):
        node = next((child for child in _definitions(node) if child.name == part), None)
    return [] if node is None else [line.strip() for line in _text_of(node, text).splitlines()]


def _definitions(
    node: ast.AST | None,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node) if node is not None else ():
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child


def _text_of(node: ast.AST, text: str) -> str:
    return ast.get_source_segment(text, node) or ""


def test_every_step_of_the_model_has_a_row() -> None:
    named = {row.step for row in rows(PAGE)}
    assert len(named) > 40
    assert set(undivided_steps(MODEL)) - named == STAND_FOR_NO_LINE


@pytest.mark.parametrize("row", rows(PAGE), ids=" ".join)
def test_a_row_names_a_step_of_the_model_and_a_line_of_the_code(row: Row) -> None:
    assert mistakes(row, MODEL, SOURCE) == []


def test_every_mutation_has_a_row_and_is_run() -> None:
    named = set(re.findall(r"^\| `(MUTATION_\w+)` \|", PAGE, re.MULTILINE))
    assert len(named) > 10
    assert mutations(MODEL) == named == {run.mutation for run in MUTATIONS}


def test_it_is_noticed_when_a_line_moves_or_a_function_or_a_step_goes(tmp_path: Path) -> None:
    (tmp_path / "turn.py").write_text("class Turn:\n    def give(self):\n        free = True\n")
    model = "inline give_turn() { turn_is_taken = false }\n"
    row = Row("give_turn", "turn.py:Turn.give", "free = True")
    assert mistakes(row, model, tmp_path) == []
    assert mistakes(row._replace(line="free = False"), model, tmp_path) != []
    assert mistakes(row._replace(function="turn.py:Turn.take"), model, tmp_path) != []
    assert mistakes(row._replace(step="take_turn"), model, tmp_path) != []


def test_a_new_step_and_a_new_mutation_are_noticed() -> None:
    model = MODEL + "\n#define see closing\n\ninline do_it(who)\n{\n\tclosing = true\n}\n"
    assert set(undivided_steps(model)) - set(undivided_steps(MODEL)) == {"see", "do_it"}
    assert "MUTATION_NEW" in mutations(MODEL + "#ifdef MUTATION_NEW\n")
