"""Whoever takes something is not cut off, however full its buffer is whenever one looks."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State

from driftline._websockets.patience import Patience

SECONDS = 0.08


class Full:
    """A connection, as far as patience sees it: with a buffer that has so much at each look."""

    def __init__(self, unsent: Iterator[int]) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection_lost_waiter = self.loop.create_future()
        self.paused = True
        self.protocol = SimpleNamespace(state=State.OPEN)
        self.transport = self
        self.looks = 0
        self.looked = asyncio.Event()
        self._unsent = unsent

    def get_write_buffer_size(self) -> int:
        self.looks += 1
        self.looked.set()
        return next(self._unsent)

    def get_extra_info(self, name: str) -> None:
        assert name == "socket"

    def abort(self) -> None:
        self.connection_lost_waiter.set_result(None)


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def ever_less(size: int) -> Iterator[int]:
    yield from range(size, 0, -1)


async def look(connection: Full, times: int) -> None:
    while connection.looks < times:
        connection.looked.clear()
        await connection.looked.wait()


async def test_who_takes_nothing_is_aborted_and_not_before_its_time() -> None:
    connection: Any = Full(always(1))
    patience = Patience(connection, SECONDS)
    begin = connection.loop.time()
    patience.begin()
    await connection.connection_lost_waiter
    assert patience.over
    assert connection.loop.time() - begin >= SECONDS


async def test_who_takes_something_is_not_aborted() -> None:
    connection: Any = Full(ever_less(1000))
    patience = Patience(connection, SECONDS)
    patience.begin()
    await look(connection, 30)
    patience.end()
    assert not patience.over


async def test_who_was_written_to_again_has_all_of_its_time() -> None:
    """What is unsent is more than before, because it has taken what was, and got more."""
    connection: Any = Full(always(1))
    patience = Patience(connection, SECONDS)
    for _ in range(5):
        patience.begin()
        await look(connection, connection.looks + 4)
        patience.end()
    assert not patience.over


@pytest.mark.parametrize("how", ["it can be written to", "all is sent"])
async def test_patience_ends_by_itself(how: str) -> None:
    connection: Any = Full(always(0 if how == "all is sent" else 1))
    connection.paused = how == "all is sent"
    patience = Patience(connection, SECONDS)
    patience.begin()
    assert patience._timer is None
    connection.protocol.state = State.CLOSING
    patience.begin()
    assert (patience._timer is None) == (how == "all is sent")
    patience.end()
