"""What benchmarks say while they run, and what they draw of what they have kept."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import trio
from benchmarks import drawing, progress

from interpreter import python

pytestmark = pytest.mark.once
pytest.importorskip("matplotlib", reason="plots need what the dependency group `bench` names")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_what_the_first_parts_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    estimate = progress.Estimate({"first": 60, "second": 120, "third": 240})
    assert estimate.left() == "about 7 minutes left"

    clock.now += 30
    assert estimate.elapsed == 30
    assert estimate.total == 420

    clock.now += 90  # twice as long as usual
    assert estimate.finish("first") == 120
    assert estimate.elapsed == 120
    assert estimate.total == 2 * 420

    clock.now += 300  # longer than even that
    assert estimate.total == 120 + 300 + 2 * 240
    assert estimate.left() == "about 8 minutes left"

    estimate.finish("second")
    clock.now += 400
    estimate.finish("third")
    assert estimate.total == estimate.elapsed == 820
    assert estimate.left() == "less than a minute left"


def test_without_a_terminal_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(progress.Estimate({"it": 240.0})) as track:
        assert list(track(["a", "b"], "it")) == ["a", "b"]

    assert capsys.readouterr().err == (
        "it 1/2, about 4 minutes left\nit 2/2, about 4 minutes left\n"
    )


LINES: dict[str, dict[str, dict[float, list[float]]]] = {
    "asyncio": {"driftline": {1: [1.0, 2.0], 100: [3.0, 5.0]}, "queues": {1: [2.0], 100: [1.0]}},
    "trio": {"driftline": {1: [1.5], 100: [4.0]}},
}
RATIOS = {
    "asyncio": {"100 B": {"driftline": [1.0, 2.0], "PubSub": [0.5]}, "1 KiB": {"driftline": [4.0]}}
}
BARS = {"asyncio": {"driftline": [5.0, 6.0], "queues": [2.0]}, "uvloop": {"driftline": [7.0]}}


DRAWN: dict[str, tuple[Callable[[], str], list[str]]] = {
    "lines": (
        lambda: drawing.lines("Rates & more", LINES, "readers", "a second"),
        ["Rates & more", "asyncio", "trio", "driftline", "queues", "readers", "100"],
    ),
    "ratios": (
        lambda: drawing.ratios("Rates & more", RATIOS),
        ["Rates & more", "asyncio", "driftline", "PubSub", "100 B", "1 KiB", "0.5x", "4x"],
    ),
    "bars": (
        lambda: drawing.bars("Rates & more", BARS, "a second"),
        ["Rates & more", "asyncio", "uvloop", "driftline", "queues", "a second"],
    ),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_plot_has_its_words_and_colours_for_light_and_dark(kind: str) -> None:
    draw, words = DRAWN[kind]
    plot = draw()
    root = ElementTree.fromstring(plot)

    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [word for word in words if word not in texts] == []
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "Rates & more"
    style = root.findtext("{http://www.w3.org/2000/svg}style") or ""
    light, _, dark = style.partition("@media(prefers-color-scheme:dark)")
    used = set(re.findall(r"var\((--c\d+)\)", plot))
    for colours in (light, dark):
        assert used <= set(re.findall(r"(--c\d+):#", colours))
    assert re.findall(r"#[0-9a-f]{6}", plot.replace(style, "")) == []


def test_what_was_kept_is_drawn_again_and_documented(tmp_path: Path) -> None:
    kept = str(tmp_path / "kept.json")
    first = tmp_path / "first"
    keep = ["--json", kept, "--plots", str(first)]
    made = python("-m", "benchmarks", "memory", "--quick", *keep)
    assert made.returncode == 0, made.stderr
    [measured] = json.loads(Path(kept).read_text(encoding="utf-8"))
    assert measured["machine"]["cores"] == os.cpu_count()
    assert f"trio {trio.__version__}" in measured["machine"]["libraries"]

    other = json.loads(Path(kept).read_text(encoding="utf-8"))
    other[0]["benchmarks"]["memory"]["commit"] = "another commit"
    later = tmp_path / "later.json"
    later.write_text(json.dumps(other), encoding="utf-8")
    again = python("-m", "benchmarks", "--kept", kept, str(later), "--document", str(tmp_path))
    assert again.returncode == 0, again.stderr

    [plot] = first.iterdir()
    assert plot.name == "memory.svg"
    assert (tmp_path / "images" / "measured" / "memory.svg").read_bytes() == plot.read_bytes()
    page = (tmp_path / "measured.md").read_text(encoding="utf-8")
    question = "How much memory does a pending message take, beside its payload?"
    command = "`python -m benchmarks memory`, at another commit"
    assert f"## {question}\n\n{command}\n" in page
    assert f"![{question}](images/measured/memory.svg)" in page
    [table] = measured["benchmarks"]["memory"]["tables"]
    for row in table["rows"]:
        assert f"| {' | '.join(row)} |\n" in page


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        ("{", "Expecting"),
        ("[]", "no run is in it"),
        ('[{"tables": 1}]', "no run is in it"),
    ],
)
def test_what_was_not_kept_is_refused_with_a_word_on_what_keeps_it(
    content: str | None, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "kept.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    refused = python("-m", "benchmarks", "--kept", str(file), "--plots", str(tmp_path))
    assert refused.returncode == 2
    assert complaint in refused.stderr
    assert "--json FILE keeps" in refused.stderr
