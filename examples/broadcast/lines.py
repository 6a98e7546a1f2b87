"""Lines of text from a pipe, a terminal or a growing file.

Reading may block for ever, so it is done in a thread of its own: see `publish_from_thread`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path

from driftline import Subscription, Topic

LONGEST_LINE = 65_536
"""Bytes; a longer line is cut into pieces, so that input without line ends cannot fill memory."""

_PAUSE = 0.05  # seconds between two looks at a file that does not grow, or at a full topic
_AHEAD = 10_000  # lines that may be read before they are broadcast


class _Cutter:
    """Cuts a stream of bytes into lines, and keeps the unfinished one."""

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        *complete, self._unfinished = (self._unfinished + chunk).split(b"\n")
        for line in complete:
            yield from self._pieces(line)
        if len(self._unfinished) > LONGEST_LINE:
            yield from self.rest()

    def rest(self) -> Iterator[str]:
        """What came after the last line end."""
        line, self._unfinished = self._unfinished, b""
        if line:
            yield from self._pieces(line)

    def _pieces(self, line: bytes) -> Iterator[str]:
        line = line.removesuffix(b"\r")
        for start in range(0, len(line) or 1, LONGEST_LINE):
            yield line[start : start + LONGEST_LINE].decode(errors="replace")


def read_lines(descriptor: int) -> Iterator[str]:
    """The lines of an open pipe, terminal or file, until its end.

    It reads the descriptor and not `sys.stdin`: a thread that still waits in `sys.stdin` holds a
    lock which Python needs to exit.
    """
    cutter = _Cutter()
    while chunk := os.read(descriptor, 65_536):
        yield from cutter.feed(chunk)
    yield from cutter.rest()


def follow_lines(path: Path) -> Iterator[str]:
    """The lines appended to a file from now on, for ever, as ``tail -F`` shows them.

    If the file is replaced (rotated), the rest of the old file comes first, then the new one from
    its start. If it is cut short, reading starts again at its start; a file cut short and grown
    beyond its old size between two looks cannot be told from one that only grew.

    The file is opened, and its end taken, when this is called and not at the first line.

    Raises:
        OSError: The file cannot be opened.
    """
    file = path.open("rb", buffering=0)
    file.seek(0, os.SEEK_END)
    return _follow(path, file)


def _follow(path: Path, file: FileIO) -> Iterator[str]:
    cutter = _Cutter()
    while True:
        replacement = _replacement(path, file)
        # Looked for before reading: what was written to the old file until then is still read.
        while chunk := file.read(65_536):
            yield from cutter.feed(chunk)
        if replacement is not None:
            yield from cutter.rest()
            file.close()
            file = replacement
        elif os.fstat(file.fileno()).st_size < file.tell():
            yield from cutter.rest()
            file.seek(0)
        else:
            time.sleep(_PAUSE)


def _replacement(path: Path, file: FileIO) -> FileIO | None:
    """The file that now has the name, opened, if it is another one."""
    try:
        if os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return None
        return path.open("rb", buffering=0)
    except FileNotFoundError:  # between the renaming of the old file and the first line of the new
        return None


def publish_from_thread(
    lines: Iterable[str], topic: Topic[str], reader: Subscription[str], ended: Callable[[], None]
) -> None:
    """Publish ``lines`` in a new thread, then close ``topic`` and call ``ended`` there.

    The thread stays at most some thousand lines ahead of ``reader``: its lag can be read from any
    thread, and that is all it takes to slow down the source. An error in reading fails the topic,
    so it is the reader that is told.
    """

    def publish() -> None:
        try:
            for line in lines:
                topic.publish(line)
                while reader.lag > _AHEAD:
                    time.sleep(_PAUSE)
        except Exception as error:
            topic.close(error)
        else:
            topic.close()
        ended()

    # A daemon: nothing can wake a thread that waits for a terminal, so the program ends without it.
    threading.Thread(target=publish, name="lines", daemon=True).start()
