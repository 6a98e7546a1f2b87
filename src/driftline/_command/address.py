"""Where a hub is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
PORT: Final = 8765
_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a hub is, and who wants to connect."""

    url: str
    """Such as "ws://127.0.0.1:8765/"."""
    token: str | None = None

    @property
    def shown(self) -> str:
        """The host and the port, as people write them."""
        return urlsplit(self.url).netloc


def parse_address(text: str, token: str | None = None) -> Address:
    """Return the address of a hub.

    Args:
        text: `localhost`, `host:port`, `ws://host:port`, or the address of the inspector.
        token: who wants to connect.

    Raises:
        ValueError: it is none.
    """
    try:
        found = urlsplit(text if "://" in text else f"ws://{text}")
    except ValueError:
        raise _is_none(text) from None
    scheme = _SCHEMES.get(found.scheme)
    if scheme is None or not found.hostname or " " in text:
        raise _is_none(text)
    try:
        port = found.port
    except ValueError:
        raise ValueError(f"{text!r} has no port from 0 to 65535") from None
    if found.path.startswith("/topic/"):
        raise ValueError(f"{text!r} is one topic; write a space between the hub and it")
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    if port is None and "://" not in text:
        port = PORT
    netloc = host if port is None else f"{host}:{port}"
    return Address(f"{scheme}://{netloc}{found.path or '/'}", token)


def _is_none(text: str) -> ValueError:
    return ValueError(f"{text!r} is not the address of a hub; write localhost or host:port")
