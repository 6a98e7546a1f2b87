"""What is sent to WebSocket clients: pieces of a long order book, each told by its number."""

from collections.abc import Iterator
from random import Random
from typing import Final

_digits = Random(1)
_BOOK: Final = "".join(
    f"[{_digits.randrange(10**6)},{_digits.randrange(10**4)}]," for _ in range(20_000)
)
_STEP: Final = 7919  # more than the window of a compressor that would remember the piece before


def message(number: int, size: int) -> str:
    """Return the message with this number: ASCII, of so many characters, the same each time."""
    head = f'{{"number":{number},"book":['
    start = number * _STEP % (len(_BOOK) - size)
    return (head + _BOOK[start : start + size])[:size]


def messages(first: int, how_many: int, size: int) -> Iterator[str]:
    """Return so many messages, one after the other."""
    return (message(number, size) for number in range(first, first + how_many))
