"""The dashboard of the tutorial: history, and nothing missing when a connection is lost."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from programs import PATIENCE, Program
from tutorial.lessons import Lesson

pytestmark = pytest.mark.once


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson("dashboard", 8767, tmp_path)


@pytest.fixture
def dashboard(lesson: Lesson) -> Iterator[Program]:
    with serving(lesson) as server:
        yield server


@contextmanager
def serving(lesson: Lesson) -> Iterator[Program]:
    with lesson.start("dashboard.py") as server:
        assert [server.out.next()] == lesson.printed(1)
        yield server


def enter(lesson: Lesson, query: str = "") -> ClientConnection:
    return connect(f"ws://localhost:{lesson.port}/figures{query}")


def take(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(client.recv(PATIENCE)) for _ in range(count)]


def test_the_figures_are_printed_until_they_are_stopped(lesson: Lesson) -> None:
    with lesson.start("figures.py") as program:
        for _ in lesson.printed(0):
            program.out.wait_for(r"^-?\d+\.\d ms late$")
        assert program.interrupt() == 0
        assert program.err.rest() == []


def test_who_comes_back_has_every_figure_once(lesson: Lesson, dashboard: Program) -> None:
    with enter(lesson) as client:
        before = take(client, 3)
    with enter(lesson) as other:  # until something was missed
        take(other, 5)
    with enter(lesson, f"?since={before[-1]['position']}") as client:
        after = take(client, 3)
    with enter(lesson) as newcomer:
        assert take(newcomer, 6) == before + after


@pytest.mark.parametrize("position", ["AAAAAAAA.1", "nonsense"])
def test_who_cannot_come_back_is_told_to_begin_anew(
    lesson: Lesson, dashboard: Program, position: str
) -> None:
    with enter(lesson, f"?since={position}") as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "begin anew")


def test_the_page_draws_every_figure_once_whatever_becomes_of_its_connection(
    lesson: Lesson, browser: Browser
) -> None:
    with closing(browser.new_context()) as context:
        with serving(lesson) as server:
            page = open_dashboard(context.new_page(), lesson)
            wait_for_figures(page, 2)
            page.get_by_role("button", name="Cut the connection").click()
            expect(page.get_by_role("status")).to_contain_text("not connected")
            drawn = len(figures_of(page))
            expect(page.get_by_role("status")).to_have_text("connected")
            wait_for_figures(page, drawn + 8)
            opened_later = open_dashboard(context.new_page(), lesson)
            wait_for_figures(opened_later, drawn + 8)
            assert agree(figures_of(page), figures_of(opened_later))
            page.reload()
            wait_for_figures(page, drawn + 8)
            assert agree(figures_of(page), figures_of(opened_later))
            old = figures_of(page)
            assert server.interrupt() == 0
            assert server.err.rest() == []
        with serving(lesson):
            # It comes back with a position of the old server, and begins anew.
            page.wait_for_function("first => figures.length && figures[0] !== first", arg=old[0])
            newcomer = open_dashboard(context.new_page(), lesson)
            wait_for_figures(newcomer, 2)
            assert agree(figures_of(page), figures_of(newcomer))


def open_dashboard(page: Page, lesson: Lesson) -> Page:
    page.goto(f"http://localhost:{lesson.port}/")
    return page


def wait_for_figures(page: Page, count: int) -> None:
    """Wait until so many are drawn."""
    page.wait_for_function("count => by('count').textContent >= count", arg=count)
    assert page.locator("#line").get_attribute("points")


def figures_of(page: Page) -> list[float]:
    figures: list[float] = page.evaluate("figures")
    return figures


def agree(some: list[float], others: list[float]) -> bool:
    """Whether one is the beginning of the other."""
    count = min(len(some), len(others))
    return some[:count] == others[:count]
