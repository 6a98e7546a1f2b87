"""What the style promises about the code itself, counted and compared."""

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest

import driftline
from driftline import OnLag

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src" / "driftline" / "_core"
STREAM = ["link", "topic", "subscription"]
BUS = ROOT / "src" / "driftline" / "_bus"
WEBSOCKETS = ROOT / "src" / "driftline" / "_websockets"
PROTOCOL = ROOT / "src" / "driftline" / "_protocol"
HUB = ROOT / "src" / "driftline" / "_hub"
COMMAND = ROOT / "src" / "driftline" / "_command"
PACKAGES = [CORE, BUS, WEBSOCKETS, PROTOCOL, HUB, COMMAND]
MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))


def test_no_test_is_left_out_of_the_checks() -> None:
    # As `make check` reads them: to xargs a blank at the end of a line joins it to the next.
    jobs = subprocess.check_output("tools/jobs | xargs -L 1 echo", shell=True, cwd=ROOT, text=True)
    tested = [
        path
        for job in jobs.splitlines()
        if job.startswith("tools/test-on .venv ")
        for path in job.split()[2:]
    ]
    tests = ROOT / "tests"
    own = [path.relative_to(ROOT) for path in tests.glob("test_*.py")]
    folders = {path.parent.relative_to(ROOT) for path in tests.glob("*/test_*.py")}
    assert sorted(tested) == sorted(str(path) for path in [*own, *folders])


def lines_of_code(source: str) -> int:
    """Count the lines that hold something other than docstrings, comments and white space."""
    docstrings = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    skipped.add(tokenize.ENDMARKER)
    code = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def test_lines_are_counted_without_docstrings_and_comments() -> None:
    source = '"""One\n\ntwo."""\n\n# three\nx = 1  # four\n\n\ndef f():\n'
    source += '    """Five."""\n    y = [\n        1,\n    ]\n'
    assert lines_of_code(source) == 5


def test_the_stream_can_be_read_in_fifteen_minutes() -> None:
    lines = {name: lines_of_code((CORE / f"{name}.py").read_text()) for name in STREAM}
    assert sum(lines.values()) <= 450, lines


def test_no_file_is_long_and_neither_are_the_core_and_the_bus() -> None:
    lines = {module: lines_of_code(module.read_text()) for module in MODULES}
    assert all(count <= 250 for count in lines.values()), lines
    # Nobody needs to read `invariants` to know what happens: only tests call it.
    run = set(CORE.glob("*.py")) - {CORE / "invariants.py"}
    beside_parking = {module: lines[module] for module in run}
    assert sum(beside_parking.values()) <= 1840, beside_parking
    assert sum(lines[module] for module in BUS.glob("*.py")) <= 770, lines


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_file_is_named_in_the_reading_order(package: Path) -> None:
    order = (package / "__init__.py").read_text()
    names = {path.stem for path in package.iterdir() if not path.name.startswith("__")}
    assert names <= set(re.findall(r"`(\w+)`", order))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CORE.parent)))
def test_every_name_in_an_essay_is_in_the_code(module: Path) -> None:
    """A name in backticks in a module's docstring must occur in the code."""
    docstring = ast.get_docstring(ast.parse(module.read_text())) or ""
    named = {
        part
        for quoted in re.findall(r"`([^`]+)`", docstring)
        for part in re.findall(r"[A-Za-z_]\w*", quoted)
    }
    assert named <= identifiers(), sorted(named - identifiers())


@cache
def identifiers() -> set[str]:
    """Return every name in the code, those of its files among them."""
    code = "\n".join(
        path.read_text() for path in [*MODULES, *(ROOT / "src" / "driftline").glob("*.py")]
    )
    return {
        token.string
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.NAME
    } | {path.stem for package in PACKAGES for path in package.iterdir()}


def test_all_names_what_is_public_and_users_see_it_as_such() -> None:
    public = {
        name
        for name, value in vars(driftline).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(driftline.__all__)
    assert driftline.__all__ == sorted(driftline.__all__)
    for value in map(vars(driftline).get, driftline.__all__):
        assert value is OnLag or value.__module__ == "driftline"  # an alias is nowhere at home


def test_everything_public_is_documented() -> None:
    undocumented = [
        f"{name}.{attribute}"
        for name in driftline.__all__
        for attribute, value in vars(getattr(driftline, name)).items()
        if not attribute.startswith("_") and callable(value) and not inspect.getdoc(value)
    ]
    assert not undocumented
    assert all(
        inspect.getdoc(getattr(driftline, name)) for name in {*driftline.__all__} - {"OnLag"}
    )


def test_importing_driftline_imports_neither_trio_nor_a_leaf() -> None:
    program = (
        "import sys, driftline\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'trio', 'uvloop', 'websockets', 'typer', 'rich', 'psutil'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
