"""What is sent: small and large, text and binary, easy and impossible to compress."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from sys import maxsize

# Around the bounds of the three forms of a frame's length.
_NOISE_SIZES = (0, 1, 125, 126, 127, 65_535, 65_536)
# Around what is worth compressing.
_WORDS_SIZES = (1, 130, 199, 200, 201, 4096, 70_000)
# A little more than what windows of 8 to 14 bits reach.
_PERIODS = (300, 700, 1500, 3000, 6000, 12_000, 30_000)

_NOISE = Random(0).randbytes(max(_PERIODS))
_WORDS = (
    b"the quick brown fox jumps over the lazy dog and says { price : 12 } to it \xe9\xff".split()
)
_COMMON = b'{"symbol": "DRIFT", "price": 12.25, "volume": 1024} '


def payloads(random: Random, most: int = maxsize) -> Iterator[str | bytes]:
    """Yield messages of all kinds, text or binary, each kind as often as any other.

    Args:
        random: their order, and the rest.
        most: bytes; those kinds that are larger are left out.
    """
    kinds = [
        *((_noise, size) for size in _NOISE_SIZES),
        *((_words, size) for size in _WORDS_SIZES),
        *((_repeated, 2 * period) for period in _PERIODS),
    ]
    kinds = [(make, size) for make, size in kinds if size <= most]
    while True:
        random.shuffle(kinds)
        for make, size in kinds:
            data = make(random, size)
            yield data.decode("latin-1") if random.random() < 0.5 else data


def _noise(random: Random, size: int) -> bytes:
    return random.randbytes(size)


def _words(random: Random, size: int) -> bytes:
    few = b" ".join(random.choices(_WORDS, k=50)) + b" "
    return _with_common(random, few * (size // len(few) + 1), size)


def _repeated(random: Random, size: int) -> bytes:
    return _with_common(random, 2 * _NOISE[: size // 2], size)


def _with_common(random: Random, data: bytes, size: int) -> bytes:
    """Have a message begin and end like any other, so that a compressor can refer back to that.

    What comes last differs in length: who looks for it after another message looks elsewhere.
    """
    common = _COMMON + random.randbytes(random.randrange(30))
    middle = data[: max(0, size - 2 * len(common))]
    return (common + middle + common)[:size]
