"""The fan-out is for websockets' asyncio server: its tests run on each loop of asyncio."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest


def _eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def _loops() -> Iterator[Any]:
    yield pytest.param({"debug": True}, id="asyncio")
    if sys.version_info >= (3, 12):
        yield pytest.param({"loop_factory": _eager_loop}, id="eager")
    yield pytest.param({"use_uvloop": True}, id="uvloop")


@pytest.fixture(scope="module", params=_loops())
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Name the event loop that the test runs on, for anyio's plugin."""
    return "asyncio", request.param
