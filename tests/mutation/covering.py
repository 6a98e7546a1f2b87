"""A plugin of pytest that writes down which tests run which lines, and how long they take.

Needs `sys.monitoring`, of Python 3.12, which tells of each line once and then costs nothing; the
functions that other means use are in use by tests.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

monitoring: Any = getattr(sys, "monitoring", None)

OUTPUT = "COVERING"  # the environment variable that names the file to write
_TOOL = 3


def name(test: str) -> str:
    """Return how to ask for a test: without parameters that are not the same the next time."""
    function, _, parameters = test.removeprefix("tests/").partition("[")
    return f"{function}[{parameters}" if re.fullmatch(r"[\w -]+\]", parameters) else function


class Covering:
    """What has been seen so far."""

    def __init__(self, package: Path) -> None:
        self.package = f"{package}{os.sep}"
        self.lines: defaultdict[str, set[str]] = defaultdict(set)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.test = ""

    def line(self, code: CodeType, number: int) -> object:
        """Take note of a line, which is not told of again before the next test."""
        if code.co_filename.startswith(self.package):
            file = code.co_filename.removeprefix(self.package)
            self.lines[f"{Path(file).as_posix()}:{number}"].add(self.test)
        return monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.test = name(item.nodeid)
        monitoring.restart_events()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[self.test] += report.duration

    def pytest_sessionfinish(self) -> None:
        lines = {line: sorted(tests - {""}) for line, tests in self.lines.items()}
        found = {"lines": lines, "seconds": self.seconds}
        Path(os.environ[OUTPUT]).write_text(json.dumps(found), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    covering = Covering(config.rootpath / "src" / "driftline")
    monitoring.use_tool_id(_TOOL, "covering")
    monitoring.register_callback(_TOOL, monitoring.events.LINE, covering.line)
    monitoring.set_events(_TOOL, monitoring.events.LINE)
    config.pluginmanager.register(covering)
