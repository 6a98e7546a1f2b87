"""Run tests on a copy of the project in which something was changed."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic
from typing import NamedTuple, NoReturn, TextIO, cast

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src", "driftline")

_PASSED = 0  # the exit code of pytest
_NOT_IMPORTED = r"while loading conftest|collected \d+ items / \d+ error"
_LONGEST = 60.0  # seconds beside the patience with single tests

for module in ("anyio.pytest_plugin", "hypothesis", "trio.testing", "uvloop"):
    import_module(module)  # takes long, and is there in every child


class Outcome(NamedTuple):
    """What came of some tests."""

    caught_by: str | None
    """The first test that failed, or None if all have passed."""
    how: str
    """What it did: "passes", "fails", "hangs" or "crashes"."""
    seconds: float


@contextmanager
def copied() -> Iterator[Path]:
    """Give a copy of the project, without what begins with a dot."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        copytree(ROOT, copy, ignore=ignore_patterns(".*", "build", "dist"))
        yield copy


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Have another text in a file for a while."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def run(copy: Path, tests: Sequence[str], patience: float) -> Outcome:
    """Run tests, given as `core/test_x.py::test_y`, until one fails, or takes too long.

    Args:
        copy: the copy of the project.
        tests: of its folder of tests.
        patience: seconds that one test may take.

    Raises:
        RuntimeError: the tests could not be run.
    """
    arguments = (
        "-xv",
        "--tb=no",
        "--no-header",
        f"--override-ini=faulthandler_timeout={patience}",
        "--override-ini=faulthandler_exit_on_timeout=true",
        *(f"tests/{test}" for test in tests),
    )
    began = monotonic()
    # Files, because a child of the tests that hangs would keep a pipe open.
    with TemporaryFile("w+", errors="replace") as output, TemporaryFile("w+") as errors:
        code = in_child(copy, arguments, _LONGEST + 4 * patience, output, errors)
        output.seek(0)
        errors.seek(0)
        return _outcome(code, output.read(), errors.read(), monotonic() - began)


def in_child(
    copy: Path, arguments: Sequence[str], most: float | None, output: TextIO, errors: TextIO
) -> int:
    """Run pytest in a child, for so many seconds at most, and return its exit code."""
    assert "driftline" not in sys.modules, "the child would not import that of the copy"
    child = get_context("fork").Process(target=_pytest, args=(copy, arguments, output, errors))
    child.start()
    child.join(most)  # else it hangs after its last test
    with suppress(ProcessLookupError):
        os.killpg(cast(int, child.pid), signal.SIGKILL)  # its own children may hang, too
    child.join()
    return cast(int, child.exitcode)


def _pytest(copy: Path, arguments: Sequence[str], output: TextIO, errors: TextIO) -> NoReturn:
    os.setsid()
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    os.chdir(copy)
    folders = [str(copy / folder) for folder in ("src", "tests", "")]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    # A file that is changed twice in a second, and keeps its size, would pass for compiled.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    code = pytest.main(["--assert=plain", "-p", "no:cacheprovider", *arguments])
    sys.stdout.flush()
    os._exit(code)


def _outcome(code: int, output: str, errors: str, seconds: float) -> Outcome:
    if code == _PASSED:
        return Outcome(None, "passes", seconds)
    failed = re.search(r"^tests/(.+?) (?:FAILED|ERROR)", output, re.MULTILINE)
    if failed is not None:
        return Outcome(failed[1], "fails", seconds)
    started = re.findall(r"^tests/(\S+::.+?) ?(?:PASSED.*)?$", output, re.MULTILINE)
    # To write where its threads are may crash what hangs, so that is looked for first.
    hangs = re.search(r"^Timeout \(", errors, re.MULTILINE) is not None
    if started and (hangs or code < 0):
        return Outcome(started[-1], "hangs" if hangs else "crashes", seconds)
    if not started and (code < 0 or re.search(_NOT_IMPORTED, output + errors)):
        return Outcome("importing it", "hangs" if code < 0 else "fails", seconds)
    raise RuntimeError(f"the tests could not be run:\n{output}\n{errors}")
