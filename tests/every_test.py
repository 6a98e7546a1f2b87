"""Where the tests are, for those who hold a page to the tests that it names."""

import ast
import re
from pathlib import Path

Test = tuple[str, str]
"""A file, as seen from the folder of the tests, and a function in it."""


def find_tests(folder: Path) -> set[Test]:
    return {
        (path.relative_to(folder).as_posix(), node.name)
        for path in folder.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_")
    }


def named_tests(text: str) -> list[Test]:
    """Return the tests that a text names, such as `core/test_one.py::test_it_holds`."""
    return re.findall(r"`([\w/]+\.py)::(\w+)`", text)
