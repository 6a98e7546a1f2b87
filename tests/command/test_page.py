"""What `docs/command-line.md` shows is what is printed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from programs import DRIFTLINE, PATIENCE, RunningHub, run

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


def conversations() -> list[tuple[str, str]]:
    """Return what is typed, and what is printed below it."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)


def test_what_is_typed_prints_what_is_below_it(hub: RunningHub, tmp_path: Path) -> None:
    script = tmp_path / "driftline"
    script.write_text("#!/bin/sh\nexec " + " ".join(DRIFTLINE) + ' "$@"\n')
    script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert len(conversations()) == 7
    for typed, printed in conversations():
        finished = subprocess.run(
            ["bash", "-c", typed.replace("localhost", hub.address)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PATH": path},
            timeout=PATIENCE,
        )
        assert finished.stdout == printed, typed


def test_the_page_names_every_option_of_serve() -> None:
    options = set(re.findall(r"^  (--[\w-]+)", run("serve", "--help").stdout, re.MULTILINE))
    assert {option for option in options if f"`{option}" not in PAGE} == set()
