"""The documentation has every public name, its links lead somewhere, and its pages are found."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import driftline

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
DOCUMENTATION = ROOT / "docs"
PAGES = sorted(DOCUMENTATION.rglob("*.md"))
OTHER_PAGES = sorted(
    page
    for folder in ("benchmarks", "examples", "model", "tests")
    for page in (ROOT / folder).rglob("*.md")
)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

Name = tuple[str, str]
"""A module, and what it is called there."""


def public_names() -> set[Name]:
    modules = [driftline] + [
        import_module(f"driftline.{module.name}")
        for module in iter_modules(driftline.__path__)
        if not module.name.startswith("_")
    ]
    return {(module.__name__, name) for module in modules for name in module.__all__}


def documented(page: str) -> Iterator[Name]:
    module = ""
    for directive, name in re.findall(r"^\.\. (\w+):: ([\w.]+)$", page, re.MULTILINE):
        if directive == "currentmodule":
            module = name
        elif directive.startswith("auto"):
            yield module, name


def headings(page: str) -> Iterator[str]:
    """Yield the anchors of a page, as a code host makes them."""
    seen: dict[str, int] = {}
    for title in re.findall(r"^#+ (.+)$", FENCED.sub("", page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if anchor in seen else anchor
        seen[anchor] = seen.get(anchor, 0) + 1


def links(page: str) -> list[str]:
    prose = re.sub(r"(`+).+?\1", "", FENCED.sub("", page))
    found = re.findall(r"\]\(([^()\s]+)[^()]*\)|^\[[^\]]+\]: (\S+)", prose, re.MULTILINE)
    return [inline or defined for inline, defined in found]


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        to = page.parent / path if path else page
        if re.match(r"https?:", link):
            continue
        if not to.exists() or (anchor and anchor not in headings(to.read_text())):
            broken.append(link)
    return broken


def in_a_toctree(page: Path) -> set[Path]:
    """Return the pages that the tables of contents on a page lead to."""
    found = set[Path]()
    for block in FENCED.findall(page.read_text()):
        first, *entries, _ = block.splitlines()
        if first == "```{toctree}":
            for entry in entries:
                target = re.sub(r"^.* <(.+)>$", r"\1", entry)
                found.update(page.parent.glob(f"{target}.md"))
    return found


def test_every_public_name_is_in_the_reference_and_nothing_else() -> None:
    found = [
        name
        for page in (DOCUMENTATION / "reference").glob("*.md")
        for name in documented(page.read_text())
    ]
    assert set(found) == public_names()
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("*.md")), *PAGES, *OTHER_PAGES],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_lead_to_what_is_there(page: Path) -> None:
    assert broken_links(page) == []


def test_every_page_is_in_a_table_of_contents() -> None:
    index = DOCUMENTATION / "index.md"
    found = set[Path]().union(*map(in_a_toctree, PAGES))
    assert set(PAGES) - found == {index}


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# One `two`: three\n\n```sh\n# four\n```\n\n## One\n\n## One\n")
    page.write_text(
        "# Own\n\n[a](other.md), [b](other.md#one-two-three) and ![c](.), [d](#own), `[e](f)`\n"
        "[g](other.md#one), [h](other.md#one-1), [i](https://example.org/j)\n\n"
        "```python\nTopic[int](k)\n```\n"
    )
    assert broken_links(page) == []
    page.write_text(
        "[a](gone.md), [b](other.md#two), [c](other.md#four), [d](#own), ![e](gone.png)\n"
        "[g](other.md#one-2), [`h`](gone.md#own) [i]\n\n[i]: gone\n"
    )
    wrong = ["gone.md", "other.md#two", "other.md#four", "#own", "gone.png"]
    assert broken_links(page) == [*wrong, "other.md#one-2", "gone.md#own", "gone"]


def test_tables_of_contents_are_read_as_sphinx_reads_them(tmp_path: Path) -> None:
    pages = [tmp_path / name for name in ("index.md", "one.md", "in/two.md", "in/three.md", "4.md")]
    (tmp_path / "in").mkdir()
    for page in pages:
        page.write_text("one\n")
    pages[0].write_text("```{toctree}\n:hidden:\n:glob:\n\nThe first <one>\nin/t*\n```\n\n4\n")
    assert in_a_toctree(pages[0]) == set(pages[1:4])
