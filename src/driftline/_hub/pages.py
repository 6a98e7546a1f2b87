"""What is answered over HTTP, on the port of the WebSocket server."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from driftline._hub.access import is_allowed_origin
from driftline._hub.plain import PLAIN
from driftline.protocol import SUBPROTOCOL, write_json

if TYPE_CHECKING:
    from driftline._hub.hub import Hub

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
    path, headers = request.path.partition("?")[0], request.headers
    for name in ("Upgrade", "Origin", "Host", "Authorization"):
        if len(headers.get_all(name)) > 1:
            return _refusal(HTTPStatus.BAD_REQUEST, f"There is more than one header {name}.")
    if headers.get("Upgrade", "").lower() != "websocket":
        return _page(hub, path)
    origin = headers.get("Origin")
    if not is_allowed_origin(origin, headers.get("Host"), hub.origins):
        text = f"Pages of {origin} may not connect here; the hub must be told so with --origin."
        return _refusal(HTTPStatus.FORBIDDEN, text)
    if hub.connections >= hub.limits.connections:
        text = "There are as many connections as there may be; try again later."
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
    if path != "/" and not path.startswith(PLAIN):
        return _refusal(HTTPStatus.NOT_FOUND, "There is / and /topic/NAME.")
    asked = ",".join(headers.get_all("Sec-WebSocket-Protocol")).split(",")
    if path == "/" and SUBPROTOCOL not in map(str.strip, asked):
        text = f"Ask for the subprotocol {SUBPROTOCOL}, or connect to /topic/NAME."
        return _refusal(HTTPStatus.BAD_REQUEST, text)
    return None


def _page(hub: Hub, path: str) -> Response:
    if path == "/":
        return _response(HTTPStatus.OK, _inspector(), "text/html; charset=utf-8")
    if path == "/health":
        health = write_json(hub.health()).encode()
        status = HTTPStatus.SERVICE_UNAVAILABLE if hub.bus.closed else HTTPStatus.OK
        return _response(status, health, "application/json")
    return _refusal(HTTPStatus.NOT_FOUND, "There is / and /health.")


@cache
def _inspector() -> bytes:
    return files("driftline._hub").joinpath("inspector.html").read_bytes()


def _refusal(status: HTTPStatus, text: str) -> Response:
    return _response(status, f"{text}\n".encode(errors="replace"), "text/plain; charset=utf-8")


def _response(status: HTTPStatus, body: bytes, kind: str) -> Response:
    headers = Headers({**_SAFE, "Content-Type": kind, "Connection": "close"})
    headers["Content-Length"] = str(len(body))
    return Response(status, status.phrase, headers, body)
