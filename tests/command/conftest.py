"""One hub for many tests, because a process takes its time to start."""

from collections.abc import Iterator

import pytest

from programs import RunningHub


@pytest.fixture(scope="session")
def hub() -> Iterator[RunningHub]:
    """Return a hub that several tests use, each with topics of its own."""
    with RunningHub("--replay", "3000", "--rate", "100000") as running:
        yield running
