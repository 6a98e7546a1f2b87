"""The chat of the tutorial: everybody is heard, and whoever does not listen is cut off."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.sync.client import ClientConnection, connect

from programs import PATIENCE, Program
from tutorial.lessons import Lesson

pytestmark = pytest.mark.once


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    return Lesson("chat", 8766, tmp_path)


@pytest.fixture
def chat(lesson: Lesson) -> Iterator[Program]:
    with serving(lesson) as server:
        yield server


@contextmanager
def serving(lesson: Lesson) -> Iterator[Program]:
    with lesson.start("chat.py") as server:
        assert [server.out.next()] == lesson.printed(0)
        yield server


def enter(lesson: Lesson) -> ClientConnection:
    return connect(f"ws://localhost:{lesson.port}/room")


def hear(client: ClientConnection, word: str) -> list[str]:
    """Return what a client gets, up to a word."""
    heard: list[str] = []
    while heard[-1:] != [word]:
        heard.append(str(client.recv(PATIENCE)))
    return heard


def test_what_one_client_says_all_get(lesson: Lesson) -> None:
    with lesson.start("echo.py") as server:
        server.out.wait_for("^connect to ")
        with connect(f"ws://localhost:{lesson.port}/") as ada:
            ada.send("one")
            assert ada.recv(PATIENCE) == "one"
            with connect(f"ws://localhost:{lesson.port}/") as bob:
                bob.send("two")
                assert (ada.recv(PATIENCE), bob.recv(PATIENCE)) == ("two", "two")
        assert server.interrupt() == 0
        assert server.err.rest() == []


def test_in_the_browser_everybody_reads_what_anybody_says(
    lesson: Lesson, chat: Program, browser: Browser
) -> None:
    with closing(browser.new_context()) as context:
        ada, bob = (open_chat(context.new_page(), lesson) for _ in range(2))
        say(ada, "ada", "<b>hello</b>")
        say(bob, "bob", "hello, ada")
        words = ["ada: <b>hello</b>", "bob: hello, ada"]
        for page in ada, bob, open_chat(context.new_page(), lesson):
            expect(page.get_by_role("listitem")).to_have_text(words)
    assert chat.interrupt() == 0
    assert chat.err.rest() == []


def open_chat(page: Page, lesson: Lesson) -> Page:
    page.goto(f"http://localhost:{lesson.port}/")
    expect(page.get_by_role("status")).to_have_text("connected")
    return page


def say(page: Page, name: str, text: str) -> None:
    page.get_by_label("name").fill(name)
    page.get_by_label("text").fill(text)
    page.get_by_role("button", name="Say").click()
    expect(page.get_by_role("listitem").last).to_have_text(f"{name}: {text}")


def test_who_comes_later_has_the_last_twenty_words(lesson: Lesson, chat: Program) -> None:
    words = [f"ada: {n}" for n in range(25)]
    with enter(lesson) as ada:
        for word in words:
            ada.send(word)
        assert hear(ada, words[-1]) == words
        with enter(lesson) as late:
            assert hear(late, words[-1]) == words[-20:]


def test_who_does_not_listen_is_cut_off_and_who_does_hears_everything(lesson: Lesson) -> None:
    # It is to be its lag that has it cut off, however long that takes here, and not patience.
    lesson.change("chat.py", "patience=10", "patience=1000")
    with (
        ThreadPoolExecutor() as pool,
        serving(lesson) as chat,
        enter(lesson) as bob,
        enter(lesson) as ada,
    ):
        heard = pool.submit(hear, bob, "ada: still here")
        heard_too = pool.submit(hear, ada, "ada: still here")
        with lesson.start("deaf.py") as deaf:
            assert deaf.out.rest() == lesson.printed(1)
            assert deaf.wait() == 0
            assert deaf.err.rest() == []
        slow, gone = (chat.out.wait_for(f"is ({state})$") for state in ("slow", "gone"))
        ada.send("ada: still here")
        words = heard.result(PATIENCE)
        assert words == heard_too.result(PATIENCE)
        assert len(words) > 50
        assert all(word.startswith("deaf: la ") for word in words[:-1])
    a_port = re.compile(r"(?<=127\.0\.0\.1:)\d+")
    told = [a_port.sub("54376", each.string) for each in (slow, gone)]
    assert told == lesson.printed(2)[1:]
