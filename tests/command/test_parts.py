"""The parts of the command that need no process: addresses, lines, files that grow, words."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from errno import ENOENT
from pathlib import Path

import pytest

from driftline._command.address import parse_address
from driftline._command.follow import Followed
from driftline._command.lines import Lines
from driftline._command.words import printable

ABSENT = os.strerror(ENOENT)
Follow = Callable[[Path], Followed]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost", "ws://localhost:8765/"),
        ("localhost:80", "ws://localhost:80/"),
        ("127.0.0.1:9", "ws://127.0.0.1:9/"),
        ("[::1]", "ws://[::1]:8765/"),
        ("[::1]:9", "ws://[::1]:9/"),
        ("ws://hub.example", "ws://hub.example/"),
        ("wss://hub.example:9/", "wss://hub.example:9/"),
        ("http://127.0.0.1:8765/", "ws://127.0.0.1:8765/"),
        ("https://hub.example/behind/a/proxy/", "wss://hub.example/behind/a/proxy/"),
        ("http://127.0.0.1:8765/?x=1#logs", "ws://127.0.0.1:8765/"),
    ],
)
def test_an_address_is_what_people_have_at_hand(text: str, url: str) -> None:
    assert parse_address(text).url == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not the address of a hub"),
        ("ftp://localhost", "not the address of a hub"),
        ("http://", "not the address of a hub"),
        ("local host", "not the address of a hub"),
        ("localhost:port", "no port"),
        ("localhost:65536", "no port"),
        ("ws://localhost:1/topic/logs", "is one topic"),
        ("http://[::1", "not the address of a hub"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


def test_lines_come_in_any_pieces() -> None:
    text = "a\n\nzwölf\r\nlast".encode()
    for size in range(1, len(text) + 1):
        lines = Lines()
        found = [
            line
            for start in range(0, len(text), size)
            for line in lines.feed(text[start : start + size])
        ]
        assert found == ["a", "", "zwölf"]
        assert lines.end() == ["last"]
        assert lines.end() == []


def test_what_is_not_utf8_is_replaced() -> None:
    assert Lines().feed(b"a\xffb\n\xc3\n") == ["a\ufffdb", "\ufffd"]


def test_a_line_that_does_not_end_is_cut() -> None:
    lines = Lines()
    found = [line for _ in range(5) for line in lines.feed(b"x" * 500_000)]
    assert [len(line) for line in found] == [2**19] * 4
    assert [len(line) for line in lines.end()] == [2_500_000 - 4 * 2**19]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Return a function that follows a file until the test ends."""
    with ExitStack() as opened:
        yield lambda path: opened.enter_context(closing(Followed(path)))


def read_all(followed: Followed) -> list[str]:
    """Read until nothing has changed any more: a replaced file takes two looks."""
    return [line for _ in range(4) for line in followed.read()]


def test_a_file_is_followed_from_its_end(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    followed = follow(path)
    assert read_all(followed) == []
    with path.open("a") as log:
        log.write("new\nhal")
        log.flush()
        assert read_all(followed) == ["new"]
        log.write("f\n")
    assert read_all(followed) == ["half"]


def test_a_file_that_comes_later_is_read_from_its_beginning(
    tmp_path: Path, follow: Follow, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    followed = follow(path)
    assert read_all(followed) == []
    assert capsys.readouterr().err == f"driftline: {path}: {ABSENT}; waiting for it\n"
    path.write_text("first\n")
    assert read_all(followed) == ["first"]


def test_a_file_that_is_rotated_loses_no_line(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "log"
    path.write_text("")
    followed = follow(path)
    with path.open("a") as log:
        log.write("before\n")
        path.rename(tmp_path / "log.1")
        log.write("late\n")
        log.flush()
        assert read_all(followed) == ["before", "late"]
        log.write("later, without an end")
        log.flush()
        path.write_text("after\n")
        assert read_all(followed) == ["later, without an end", "after"]


def test_a_file_that_is_truncated_is_read_from_its_beginning(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "log"
    path.write_text("")
    followed = follow(path)
    path.write_text("one\ntwo")
    assert read_all(followed) == ["one"]
    path.write_text("3\n")
    assert read_all(followed) == ["two", "3"]


def test_a_file_that_is_deleted_is_waited_for(tmp_path: Path, follow: Follow) -> None:
    path = tmp_path / "log"
    path.write_text("")
    followed = follow(path)
    path.unlink()
    assert read_all(followed) == []
    path.write_text("again\n")
    assert read_all(followed) == ["again"]


def test_a_named_pipe_is_followed_and_does_not_wait_for_who_writes(
    tmp_path: Path, follow: Follow
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    followed = follow(path)
    assert read_all(followed) == []
    with path.open("w") as pipe:
        pipe.write("through\n")
        pipe.flush()
        assert read_all(followed) == ["through"]
        assert read_all(followed) == []
    assert read_all(followed) == []


def test_a_folder_is_no_file(
    tmp_path: Path, follow: Follow, capsys: pytest.CaptureFixture[str]
) -> None:
    followed = follow(tmp_path)
    assert read_all(followed) == []
    assert capsys.readouterr().err.count("directory; waiting for it") == 1


def test_words_of_others_move_no_cursor() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb\ufffdc\ufffdd"
    assert printable("größe 値") == "größe 値"
