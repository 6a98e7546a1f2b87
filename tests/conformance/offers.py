"""What a client asks for when it offers permessage-deflate."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple


class Offer(NamedTuple):
    """The parameters of RFC 7692, 7.1; those of the client's window are left to the server."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15

    def __str__(self) -> str:
        words = [name for name, asked in zip(self._fields, self[:2], strict=False) if asked]
        return ", ".join([*words, f"{self.server_max_window_bits} bits"])


NONE = None
"""No compression."""

ALL = tuple(Offer(*each) for each in product((False, True), (False, True), range(9, 16)))
"""All that can be asked for."""
