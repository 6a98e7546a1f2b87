"""A file that grows, like tail -F: it may be rotated, truncated, or come later."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path
from typing import Final

from driftline._command.lines import Lines
from driftline._command.words import say

_PIECE: Final = 64 * 1024


class Followed:
    """The lines that are added to a file.

    Of a file that is there, those that are added from now on; of one that comes later, or in its
    place, all.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Lines()
        self._said: str | None = None
        self._file = self._open()
        if self._file is not None and self._file.seekable():
            self._file.seek(0, os.SEEK_END)

    def read(self) -> list[str]:
        """Return the lines that were added since the last time."""
        if self._file is None:
            self._file = self._open()
            if self._file is None:
                return []
        if self._was_truncated(self._file):
            self._file.seek(0)
            return self._lines.end()
        # Looked at before the last bytes are read, or those could be left behind.
        was_replaced = self._was_replaced(self._file)
        data = self._file.read(_PIECE) or b""
        if data or not was_replaced:
            return self._lines.feed(data)
        self._file.close()
        self._file = self._open()
        return self._lines.end()

    def close(self) -> None:
        """Follow it no more."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO | None:
        try:
            found = FileIO(self._path, opener=_open_at_once)
        except OSError as error:
            self._say(f"{self._path}: {error.strerror}; waiting for it")
            return None
        self._said = None
        return found

    def _was_replaced(self, file: FileIO) -> bool:
        try:
            there = os.stat(self._path)
        except OSError:  # between two names; or deleted, and still written to
            return False
        return not os.path.samestat(there, os.fstat(file.fileno()))

    def _was_truncated(self, file: FileIO) -> bool:
        return file.seekable() and os.fstat(file.fileno()).st_size < file.tell()

    def _say(self, text: str) -> None:
        """Say it once."""
        if text != self._said:
            say(text)
        self._said = text


def _open_at_once(path: str, flags: int) -> int:
    # A named pipe would else wait here for who writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
