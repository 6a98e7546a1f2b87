"""`driftline serve`: a hub, with what comes from standard input and from files."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from time import sleep
from typing import Any, Final

from driftline import Bus
from driftline._command.follow import Followed
from driftline._command.source import in_thread, standard_input
from driftline._command.stopping import hearing_signals
from driftline._command.words import Complaint, say
from driftline.hub import Grant, Hub, Limits, Tokens, serve

LIMIT_BYTES: Final = 64 * 1024 * 1024
"""What a topic keeps at most for those who are behind."""
_LOOK: Final = 0.1  # seconds between two looks at files

Publish = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What was asked for."""

    host: str
    port: int
    stdin: str | None = None
    follow: tuple[tuple[Path, str], ...] = ()
    limit: int
    replay: int
    max_topics: int
    rate: float
    origins: tuple[str, ...] = ()
    grants: dict[str | None, Grant]
    """What each token allows; empty if everybody may do everything."""


async def serve_until_stopped(serving: Serving) -> int:
    """Serve until Ctrl-C or SIGTERM; return the number to end with.

    Raises:
        Complaint: it cannot listen there.
    """
    bus = Bus(
        limit=serving.limit,
        limit_bytes=LIMIT_BYTES,
        replay=serving.replay,
        max_topics=serving.max_topics,
        sizeof=size,
    )
    authorize = Tokens(serving.grants) if serving.grants else None
    warn(serving)
    try:
        async with serve(
            bus,
            host=serving.host,
            port=serving.port,
            authorize=authorize,
            origins=serving.origins,
            limits=Limits(rate=serving.rate),
            keep=True,
        ) as hub:
            with hearing_signals() as wait_for_signal:
                read_sources(bus, serving)
                say(f"listening on {page(hub)}")
                number = await wait_for_signal()
    except* OSError as group:
        error = group.exceptions[0]
        raise cannot_listen(serving.host, serving.port, error) from None
    return 0 if number == signal.SIGTERM else 128 + number


def page(hub: Hub) -> str:
    """Return the address of the inspector."""
    anywhere = {"ws://0.0.0.0:": "http://127.0.0.1:", "ws://[::]:": "http://[::1]:", "ws:": "http:"}
    for here, there in anywhere.items():
        if hub.url.startswith(here):
            return there + hub.url.removeprefix(here)
    return hub.url


def cannot_listen(host: str, port: int, error: BaseException) -> Complaint:
    """Return why nobody can connect there."""
    # asyncio puts more into words than a line has room for; who looks up names has numbers below 0.
    number = getattr(error, "errno", None) or 0
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", error)
    return Complaint(f"cannot listen on {host}:{port} ({reason}); --port chooses another port")


def size(value: Any) -> int:
    """Return the bytes of a value, about, so that lag is known in bytes."""
    return len(value) if isinstance(value, str | bytes) else len(repr(value))


def warn(serving: Serving) -> None:
    """Say so if others than people at this machine may do what they like."""
    everybody = serving.grants.get(None, Grant()) if serving.grants else Grant(publish=[">"])
    if is_loopback(serving.host) or not everybody:
        return
    may = "read and publish" if everybody.get("publish") else "read"
    say(f"warning: whoever can reach {serving.host} can {may}; --token asks for a token")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect there."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_sources(bus: Bus, serving: Serving) -> None:
    """Publish what comes from standard input and from files, from threads."""
    if serving.stdin is not None:
        publish = bus.topic(serving.stdin, keep=True).publish
        in_thread(lambda: _publish_input(publish), "standard input")
    if serving.follow:
        # Opened here, so that what is added from now on is not missed.
        files = [
            (Followed(path), bus.topic(topic, keep=True).publish) for path, topic in serving.follow
        ]
        in_thread(lambda: _publish_files(files), "a followed file")


def _publish_input(publish: Publish) -> None:
    for line in standard_input():
        publish(line)


def _publish_files(files: Sequence[tuple[Followed, Publish]]) -> None:
    while True:
        found = False
        for followed, publish in files:
            for line in followed.read():
                publish(line)
                found = True
        if not found:
            sleep(_LOOK)
