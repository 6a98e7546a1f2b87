"""Every example prints what the README beside it says, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERVERS = ["broadcast", "chat", "log_viewer", "progress", "ticker", "token_stream"]
APART = [EXAMPLES / name for name in SERVERS]  # they have tests of their own
PROGRAMS = sorted(
    path
    for path in EXAMPLES.rglob("*.py")
    if path.name != "__init__.py" and not set(APART) & set(path.parents)
)
FOLDERS = sorted({path.parent for path in PROGRAMS})


def found(pattern: str, folder: Path) -> list[str]:
    """What a pattern finds in the README of a folder."""
    readme = (folder / "README.md").read_text()
    return re.findall(pattern, readme, re.DOTALL | re.MULTILINE)


def module(program: Path) -> str:
    """The name under which Python runs a program with -m."""
    return ".".join(program.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("program", PROGRAMS, ids=module)
def test_it_prints_what_its_readme_says(program: Path) -> None:
    # One text for all programs in a folder: they do the same.
    (said,) = found(r"```text\n(.*?)```", program.parent)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", module(program)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, said, "")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_readme_says_how_to_run_each_program(folder: Path) -> None:
    said = found(r"^python -m (\S+)$", folder)
    assert sorted(said) == [module(path) for path in PROGRAMS if path.parent == folder]


def test_the_table_names_every_folder() -> None:
    named = found(r"^\| \[(\w+)\]\(\1\) \|", EXAMPLES)
    assert sorted(named) == sorted(folder.name for folder in [*FOLDERS, *APART])
