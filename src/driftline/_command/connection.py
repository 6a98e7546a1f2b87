"""One connection to a hub, and in words why there is none."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import gaierror
from typing import Final

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.typing import Subprotocol

from driftline._command.address import Address
from driftline._command.words import Complaint
from driftline.protocol import SUBPROTOCOL, Refused
from driftline.websockets import disconnect

_LARGEST: Final = 64 * 1024 * 1024  # bytes of a message that this program would take
_BUSY: Final = 500  # and more are states of a server that may pass


class Unreachable(Complaint):
    """There is no hub now; maybe later."""


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[ClientConnection]:
    """Have a connection to a hub while a block runs.

    Raises:
        Unreachable: nobody is there.
        Complaint: somebody is there, who does not let us in, or is no hub.
    """
    websocket = await _connect(address)
    try:
        yield websocket
    finally:
        with anyio.CancelScope(shield=True):
            await disconnect(websocket, grace=0.5)


def refusal(refused: Refused) -> Complaint:
    """Return the complaint about what the hub refused."""
    hint = ""
    if refused.code == "not-allowed":
        hint = "; --token or DRIFTLINE_TOKEN says who you are"
    return Complaint(f"the hub refuses: {refused.reason}{hint}")


def why(closed: ConnectionClosed) -> str:
    """Return why a connection was closed."""
    if closed.rcvd is None:
        return "without a word"
    return closed.rcvd.reason or f"code {closed.rcvd.code}"


async def _connect(address: Address) -> ClientConnection:
    headers = {} if address.token is None else {"Authorization": f"Bearer {address.token}"}
    where = address.shown
    try:
        return await connect(
            address.url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=headers,
            max_size=_LARGEST,
        )
    except gaierror:
        raise Unreachable(f"there is no host {where}, or no network") from None
    except ConnectionRefusedError:
        raise Unreachable(f"nobody listens at {where}; `driftline serve` starts a hub") from None
    except TimeoutError:
        raise Unreachable(f"{where} does not answer") from None
    except InvalidStatus as error:
        body = bytes(error.response.body or b"").decode(errors="replace").strip()
        code = error.response.status_code
        kind = Unreachable if code >= _BUSY else Complaint
        raise kind(f"{where} refuses with HTTP {code}: {body[:200]}") from None
    except ssl.SSLError as error:
        raise Complaint(f"{where} has no TLS that can be trusted: {error}") from None
    except (InvalidMessage, EOFError, ConnectionError):
        # A hub that is being stopped ends so, too.
        raise Unreachable(f"{where} does not answer like a hub") from None
    except (InvalidHandshake, InvalidURI) as error:
        raise Complaint(f"{where} is no hub: {error}") from None
    except OSError as error:
        raise Unreachable(f"{where} cannot be reached: {error.strerror or error}") from None
