"""The page of the promises: each is there once, says where it ends, and names tests that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from every_test import Test, find_tests, named_tests

pytestmark = pytest.mark.once

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "promises.md").read_text()
PROMISES = [f"P{n}" for n in range(1, 12)]
NOT_PROMISED = "\n**Not promised.**\n"
SHOWN_BY = "\n**Shown by**"


def sections(page: str) -> list[tuple[str, str]]:
    """Return what there is about each promise, with its label."""
    return re.findall(r"^## (P\d+) .*\n((?:(?!## ).*\n?)*)", page, re.MULTILINE)


def complaints(page: str, tests: set[Test], promises: list[str]) -> Iterator[str]:
    found = sections(page)
    if [label for label, _ in found] != promises:
        yield "the promises are not all there once, in their order"
    for label, text in found:
        yield from about_promise(label, text, tests)


def about_promise(label: str, text: str, tests: set[Test]) -> Iterator[str]:
    meaning, _, rest = text.partition(NOT_PROMISED)
    ends, _, shown_by = rest.partition(SHOWN_BY)
    if not meaning.strip():
        yield f"{label} does not say what it means"
    if not ends.strip():
        yield f"{label} does not say what it does not mean"
    named = named_tests(shown_by)
    if not any(f"_{label.lower()}_" in name for _, name in named):
        yield f"{label} names no test that carries its label"
    yield from (
        f"{label} names {'::'.join(test)} twice" for test in set(named) if named.count(test) > 1
    )
    for file, name in named:
        if (file, name) not in tests:
            yield f"{label} names {file}::{name}, which does not exist"


def test_every_promise_says_what_it_means_and_what_not_and_what_shows_it() -> None:
    assert list(complaints(PAGE, find_tests(TESTS), PROMISES)) == []


# That this can fail.

P1 = """## P1 Exact

It is.

**Not promised.**
More.

**Shown by** them.

- `core/test_one.py::test_p1_holds`
- `core/test_one.py::test_something_else`
"""
P2 = P1.replace("P1", "P2").replace("p1", "p2")
RIGHT = f"# Promises\n\nAll of them.\n\n{P1}\n{P2}"
SOME_TESTS = {
    ("core/test_one.py", name) for name in ("test_p1_holds", "test_p2_holds", "test_something_else")
}


def complaints_about(page: str) -> list[str]:
    return list(complaints(page, SOME_TESTS, ["P1", "P2"]))


def test_a_right_page_gives_no_complaint() -> None:
    assert complaints_about(RIGHT) == []


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (RIGHT.replace(P2, ""), "the promises are not all there once, in their order"),
        (RIGHT + P2, "the promises are not all there once, in their order"),
        (f"{P2}\n{P1}", "the promises are not all there once, in their order"),
        (RIGHT.replace("It is.", "", 1), "P1 does not say what it means"),
        (RIGHT.replace("More.", "", 1), "P1 does not say what it does not mean"),
        (RIGHT.replace("**Not promised.**\n", "", 1), "P1 does not say what it does not mean"),
        (RIGHT.replace("**Shown by**", "", 1), "P1 names no test that carries its label"),
        (
            RIGHT.replace("core/test_one.py::test_p2_holds", "core/test_one.py::test_something"),
            "P2 names no test that carries its label",
        ),
        (
            RIGHT.replace("test_p2_holds", "test_p2_gone"),
            "P2 names core/test_one.py::test_p2_gone, which does not exist",
        ),
        (
            RIGHT.replace("core/test_one.py::test_p2", "core/test_two.py::test_p2"),
            "P2 names core/test_two.py::test_p2_holds, which does not exist",
        ),
        (
            RIGHT.replace("test_something_else", "test_p1_holds", 1),
            "P1 names core/test_one.py::test_p1_holds twice",
        ),
    ],
)
def test_a_wrong_page_is_complained_about(page: str, complaint: str) -> None:
    assert complaint in complaints_about(page)
