"""Lines of text out of bytes."""

from __future__ import annotations

from typing import Final

# Bytes; whoever never ends a line is not to fill our memory. Half of what a hub takes at once.
_LONGEST: Final = 512 * 1024


class Lines:
    """Takes bytes as they come, and gives the lines that have ended.

    What is not UTF-8 is replaced, and lines of more than 512 KiB are cut.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that end in these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > _LONGEST:
            lines.append(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        """Return the last line, if nothing ended it."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
