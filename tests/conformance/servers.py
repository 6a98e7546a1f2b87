"""The servers: with frames shared compressed, as websockets makes them, and without compression."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from driftline.websockets import serve_options


class Server(NamedTuple):
    """The arguments for `serve`, and a name for them."""

    kind: str
    parameters: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}, {self.parameters}"


def shared(window_bits: int) -> Server:
    """Return a server whose connections share compressed frames."""
    return Server("shared", f"{window_bits} bits", serve_options(window_bits=window_bits, least=1))


def stock(server_takeover: bool, client_takeover: bool, window_bits: int) -> Server:
    """Return a server with the compression of websockets, in which nothing can be shared."""
    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=not server_takeover,
        client_no_context_takeover=not client_takeover,
        server_max_window_bits=window_bits,
        client_max_window_bits=window_bits,
    )
    takeover = f"takeover {server_takeover:d}{client_takeover:d}"
    return Server(
        "stock", f"{takeover}, {window_bits} bits", {"extensions": [factory], "compression": None}
    )


DEFAULT = Server("stock", "as it is", {})
DEFAULT_SHARED = Server("shared", "as it is", serve_options())
PLAIN = Server("plain", "no compression", {"compression": None})

ALL = (
    DEFAULT_SHARED,
    *(shared(bits) for bits in range(9, 16)),
    DEFAULT,
    *(stock(*each) for each in product((True, False), (True, False), range(9, 16))),
    PLAIN,
)
