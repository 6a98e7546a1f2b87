"""Whoever takes something is not cut off, however full its buffer is whenever one looks."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State

from driftline._websockets.patience import Patience

SECONDS = 8.0


class Clock:
    """An event loop, as far as patience sees it: its time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[SimpleNamespace] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, act: Callable[[], None]) -> SimpleNamespace:
        timer = SimpleNamespace(at=self.now + delay, act=act)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer

    def let_pass(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0].at <= end:
            timer = self.timers.pop(0)
            self.now = timer.at
            timer.act()
        self.now = end


class Full:
    """A connection, as far as patience sees it: with a buffer that has so much at each look."""

    def __init__(self, unsent: Iterator[int]) -> None:
        self.loop = Clock()
        self.lost = False
        self.connection_lost_waiter = SimpleNamespace(done=lambda: self.lost)
        self.paused = True
        self.protocol = SimpleNamespace(state=State.OPEN)
        self.transport = self
        self._unsent = unsent

    def get_write_buffer_size(self) -> int:
        return next(self._unsent)

    def get_extra_info(self, name: str) -> None:
        assert name == "socket"

    def abort(self) -> None:
        self.lost = True


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def ever_less(size: int) -> Iterator[int]:
    yield from range(size, 0, -1)


def test_who_takes_nothing_is_aborted_and_not_before_its_time() -> None:
    connection: Any = Full(always(1))
    patience = Patience(connection, SECONDS)
    patience.begin()
    connection.loop.let_pass(SECONDS * 0.99)
    assert not patience.over
    assert not connection.lost
    connection.loop.let_pass(SECONDS * 0.02)
    assert patience.over
    assert connection.lost


def test_who_takes_something_is_not_aborted() -> None:
    connection: Any = Full(ever_less(1000))
    patience = Patience(connection, SECONDS)
    patience.begin()
    connection.loop.let_pass(SECONDS * 10)
    assert connection.loop.timers
    patience.end()
    assert not patience.over
    assert not connection.loop.timers


def test_who_was_written_to_again_has_all_of_its_time() -> None:
    """What is unsent is more than before, because it has taken what was, and got more."""
    connection: Any = Full(always(1))
    patience = Patience(connection, SECONDS)
    for _ in range(5):
        patience.begin()
        connection.loop.let_pass(SECONDS * 0.99)
        patience.end()
    assert not patience.over


@pytest.mark.parametrize("how", ["it can be written to", "all is sent"])
def test_patience_ends_by_itself(how: str) -> None:
    connection: Any = Full(always(0 if how == "all is sent" else 1))
    connection.paused = how == "all is sent"
    patience = Patience(connection, SECONDS)
    patience.begin()
    assert patience._timer is None
    connection.protocol.state = State.CLOSING
    patience.begin()
    assert (patience._timer is None) == (how == "all is sent")
    patience.end()
