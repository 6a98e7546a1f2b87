"""What is answered over HTTP, on the port of the WebSocket server."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline._hub.access import is_allowed_origin
from driftline.protocol import SUBPROTOCOL, write_json

if TYPE_CHECKING:
    from driftline._hub.hub import Hub

_TEXT: Final = "text/plain; charset=utf-8"
_SAFE: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answer(hub: Hub, request: Request) -> Response | None:
    """Return the answer to a request, or None if a WebSocket connection is to be opened."""
    path = urlsplit(request.path).path
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return _page(hub, path)
    origin, host = request.headers.get("Origin"), request.headers.get("Host")
    if not is_allowed_origin(origin, host, hub.origins):
        text = f"Pages of {origin} may not connect here; the hub must be told so with --origin.\n"
        return _response(HTTPStatus.FORBIDDEN, text.encode(errors="replace"), _TEXT)
    if hub.connections >= hub.limits.connections:
        text = "There are as many connections as there may be; try again later.\n"
        return _response(HTTPStatus.SERVICE_UNAVAILABLE, text.encode(), _TEXT)
    if path != "/" and not path.startswith("/topic/"):
        return _response(HTTPStatus.NOT_FOUND, b"There is / and /topic/NAME.\n", _TEXT)
    if path == "/" and SUBPROTOCOL not in request.headers.get("Sec-WebSocket-Protocol", ""):
        text = f"Ask for the subprotocol {SUBPROTOCOL}, or connect to /topic/NAME.\n"
        return _response(HTTPStatus.BAD_REQUEST, text.encode(), _TEXT)
    return None


def _page(hub: Hub, path: str) -> Response:
    if path == "/":
        page = files("driftline._hub").joinpath("inspector.html").read_bytes()
        return _response(HTTPStatus.OK, page, "text/html; charset=utf-8")
    if path == "/health":
        health = write_json(hub.health()).encode()
        status = HTTPStatus.SERVICE_UNAVAILABLE if hub.bus.closed else HTTPStatus.OK
        return _response(status, health, "application/json")
    return _response(HTTPStatus.NOT_FOUND, b"There is / and /health.\n", _TEXT)


def _response(status: HTTPStatus, body: bytes, kind: str) -> Response:
    headers = Headers({**_SAFE, "Content-Type": kind, "Connection": "close"})
    headers["Content-Length"] = str(len(body))
    return Response(status, status.phrase, headers, body)
