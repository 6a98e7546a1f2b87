"""The files that a lesson has somebody save, and the programs among them."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

from programs import Program

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "tutorial"


class Lesson:
    """The files of one lesson in a folder, with a port that is free in place of the one there.

    Attributes:
        port: Where its servers listen.
    """

    def __init__(self, name: str, port: int, folder: Path) -> None:
        self._page = (DOCUMENTATION / f"{name}.md").read_text()
        self._port_there = str(port)
        self._folder = folder
        with socket.create_server(("localhost", 0)) as free:
            self.port: int = free.getsockname()[1]
        for file, text in self._files().items():
            (folder / file).write_text(self._moved(text))

    def start(self, file: str) -> Program:
        """Start one of its programs."""
        return Program(sys.executable, "-W", "error", str(self._folder / file))

    def change(self, file: str, old: str, new: str) -> None:
        """Change something in one of its files."""
        text = (self._folder / file).read_text()
        assert old in text, f"there is no {old!r} in {file}"
        (self._folder / file).write_text(text.replace(old, new))

    def printed(self, n: int) -> list[str]:
        """Return the lines of a text block of the page."""
        text: str = re.findall(r"```text\n(.*?)```", self._page, re.DOTALL)[n]
        return self._moved(text).splitlines()

    def _moved(self, text: str) -> str:
        return text.replace(self._port_there, str(self.port))

    def _files(self) -> dict[str, str]:
        """Return the blocks by name: each has it in the line above."""
        named = r"`([\w.]+)`[^\n`]*(?:`[^\n`]*`)?[^\n`]*:\n\n```(?:python|html)\n(.*?)```"
        files = dict(re.findall(named, self._page, re.DOTALL))
        blocks = re.findall(r"^```(?:python|html)$", self._page, re.MULTILINE)
        assert len(files) == len(blocks), f"a block has no name of its own: {sorted(files)}"
        return files
