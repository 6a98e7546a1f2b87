"""Hubs to look at, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal

from driftline import Bus
from driftline.hub import Hub, serve


@contextmanager
def serving(bus: Bus, **options: Any) -> Iterator[Hub]:
    """Serve a bus while a block runs; the options are those of `serve`."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(bus, **{"port": 0, **options})) as hub,
    ):
        yield hub


def page_of(hub: Hub) -> str:
    """Return the address of the inspector."""
    return hub.url.replace("ws://", "http://")
