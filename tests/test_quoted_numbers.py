"""What the pages of explanation and the README quote is what was measured."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

DOCUMENTATION = Path(__file__).parents[1] / "docs"
PAGES = [
    "decisions",
    "freed-when-read",
    "limits-without-a-registry",
    "linked-list-of-futures",
    "performance",
    "waiting-and-waking",
]
EVERY = r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\d.]*\.\d)"
WITH_A_FRACTION = r"(?<![\w.,])\d[\d,]*\.\d+(?![\d.]*\.\d)"
CODE = r"```.*?```|`[^`\n]*`"


def measured(tables: str) -> set[float]:
    return {
        float(number) * {"": 1, "k": 1e3, "M": 1e6}[unit]
        for number, unit in re.findall(r"(\d+(?:\.\d+)?)([kM]?)", tables.replace(",", ""))
    }


def quoted(page: str, numbers: str) -> list[float]:
    """Return the numbers outside of code and of versions of Python."""
    prose = re.sub(r"CPython \d[.\d]*", "", re.sub(CODE, "", page, flags=re.DOTALL))
    return [float(number.rstrip(",").replace(",", "")) for number in re.findall(numbers, prose)]


def invented(page: str, tables: str, numbers: str) -> list[float]:
    true = measured(tables)
    return [number for number in quoted(page, numbers) if number not in true]


TABLES = (DOCUMENTATION / "measured.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_a_number_with_a_fraction_was_measured(page: str) -> None:
    text = (DOCUMENTATION / "explanation" / f"{page}.md").read_text()
    assert invented(text, TABLES, WITH_A_FRACTION) == []


def test_every_number_of_the_page_on_performance_was_measured() -> None:
    text = (DOCUMENTATION / "explanation" / "performance.md").read_text()
    assert len(quoted(text, EVERY)) > 80
    assert invented(text, TABLES, EVERY) == []


def test_every_number_of_the_readme_was_measured() -> None:
    text = (DOCUMENTATION.parent / "README.md").read_text()
    section = text.split("\n## Measured\n")[1].split("\n## ")[0]
    assert len(quoted(section, EVERY)) > 15
    assert invented(section, TABLES, EVERY) == []


def test_a_number_that_was_not_measured_is_found() -> None:
    tables = "| 3.06k [2.35k-3.14k] | 0.733x | 0.350 | 10,047 |"
    page = "On CPython 3.13.0 it was 0.733, 3,060, 0.35, `9.9` and 10,047, and not 0.74 or 3,061."
    assert invented(page, tables, EVERY) == [0.74, 3061]
    assert invented(page, tables, WITH_A_FRACTION) == [0.74]
