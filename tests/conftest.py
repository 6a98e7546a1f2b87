"""Every async test runs on each event loop that driftline promises to work on."""

import asyncio
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import driftline

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


def pytest_configure() -> None:
    """Refuse to test a copy that was installed, in which nothing changes that is changed here."""
    source = Path(__file__).parents[1] / "src"
    if not Path(driftline.__file__).is_relative_to(source):
        raise pytest.UsageError(
            f"these tests are of {source}, and driftline is imported from {driftline.__file__}: "
            "make the environment again (make clean)"
        )


def pytest_collection_finish() -> None:
    """Let tests that collect garbage look at their own only."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each asynchronous test on the event loops that it is for."""
    if "anyio_backend" in metafunc.fixturenames and not hasattr(metafunc.module, "anyio_backend"):
        backends = list(_backends())
        if metafunc.definition.path.parent.name == "websockets":
            backends.pop()  # the fan-out is for websockets' asyncio server
        metafunc.parametrize("anyio_backend", backends, indirect=True, scope="module")


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Return the event loop, as anyio's plugin wants to know it."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
