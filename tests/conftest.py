"""Every async test runs on each event loop that driftline promises to work on."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of driftline.
settings.register_profile("driftline", deadline=None)
settings.load_profile("driftline")


def _eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def _backends() -> Iterator[Any]:
    # Debug mode refuses calls from the wrong thread, which otherwise are only lost or late.
    yield pytest.param(("asyncio", {"debug": True}), id="asyncio")
    if sys.version_info >= (3, 12):
        yield pytest.param(("asyncio", {"loop_factory": _eager_loop}), id="eager")
    yield pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")
    yield pytest.param(("trio", {}), id="trio")


@pytest.fixture(scope="module", params=_backends())
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Name the event loop that the test runs on, for anyio's plugin."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
