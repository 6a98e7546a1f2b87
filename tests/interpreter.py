"""Running a program in the project's folder, as a user does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these arguments, for two minutes at most."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
