"""Which messages came: each once, and keeping none of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from proof.law import LawBroken, Published


class Roll:
    """One byte for each message of each publisher.

    Args:
        in_order: Publishers that are never in the middle of themselves, so that their messages
            come in the order of their numbers.
    """

    def __init__(self, *in_order: str) -> None:
        self._in_order = in_order
        self._came: dict[str, bytearray] = defaultdict(bytearray)

    def came(self, value: Published) -> None:
        """Note that a message came.

        Raises:
            LawBroken: For the second time, or too late.
        """
        publisher, number = value
        came = self._came[publisher]
        behind = len(came) - number
        if behind <= 0:
            came.extend(bytes(1 - behind))
        elif came[number]:
            raise LawBroken(f"{publisher}:{number} came twice")
        elif publisher in self._in_order:
            raise LawBroken(f"{publisher}:{number} came after {publisher}:{len(came) - 1}")
        came[number] = True

    def check(self, published: Mapping[str, int]) -> None:
        """Compare it with how many each has published.

        Raises:
            LawBroken: Some did not come.
        """
        for publisher, number in published.items():
            came = self._came[publisher].count(True)
            if came != number:
                raise LawBroken(f"of {number} messages of {publisher!r}, {came} came")
