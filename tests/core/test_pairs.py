"""Whatever two threads do at the same time: every operation beside every other, and beside itself.

All schedules with one preemption are tried, or many of them drawn by lot where there are thousands,
and a few with any number. What happens to the messages is held to the law, and the topic to its
invariants.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import combinations_with_replacement, count
from typing import Any
from unittest.mock import patch

import anyio
import pytest

import driftline
from driftline import Subscription, Topic
from driftline._core import checks
from driftline._core import subscription as subscription_module
from driftline._core.invariants import check
from driftline._core.parking import on_threads
from driftline._core.parking.base import Parking
from driftline._core.senders import Senders
from proof import FailedSchedule, interleavings
from proof.law import Ledger, Published, Reader

pytestmark = [pytest.mark.once, pytest.mark.untraced]  # the explorer is a tracer itself

AT_RANDOM = 10  # schedules of each
PUBLISH = {"publish", "cut", "park"}  # or have the other publish
ALL = 1000
SOME = 100
WITHIN = [driftline]
LONG = {"cut", "send"}
"""Operations of so many steps that some schedules must do: of all there are up to 2,200."""

Part = Callable[[], object]


class Meeting:
    """A topic on which threads meet, and a reader that is as far behind as it may be."""

    def __init__(self, *operations: str) -> None:
        limit = 2 if {"cut", "send"} & {*operations} else None
        self.topic = Topic[Published]("topic", limit=limit)
        self.ledger = Ledger(self.topic)
        self.behind = self.reader("behind")
        self.reading = interleavings.Lock()
        self.ledger.publish("early")
        self.ledger.publish("early")
        parts = [OPERATIONS[name](self, f"{name} {n}") for n, name in enumerate(operations)]
        self.threads = parts

    def reader(self, name: str) -> Reader[Subscription[Published]]:
        """Return a reader to which nothing was published yet."""
        return self.ledger.reader(name, partial(self.topic.subscribe, on_lag="skip"))

    def publish(self, name: str) -> None:
        """Publish, unless the topic was closed."""
        with suppress(anyio.ClosedResourceError):
            self.ledger.publish(name)

    def make_room(self) -> None:
        """Read what one has left so far, on whom senders wait."""
        with self.reading:
            read_ready(self.behind)

    def check(self) -> None:
        """Compare what was published with what was read, and with what is left."""
        published = len(self.ledger.accepted)
        assert self.topic.published == published  # before readers look, who would link the rest
        check(self.topic)
        for reader in self.ledger.readers:
            read_ready(reader)
        self.ledger.check()


class Pair(Meeting):
    """Two threads, each with one operation.

    One that waits is relieved by the other, after its own part; or before, if both wait.
    """

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first, second)
        one, other = self.threads
        for_one, for_other = (self._relief(name) for name in (first, second))
        waits = second in RELIEF
        self._only_sent = "send" in (first, second) and not {first, second} & PUBLISH
        self.threads = [
            partial(in_turn, one, for_other),
            partial(in_turn, *((for_one, other) if waits else (other, for_one))),
        ]

    def check(self) -> None:
        """Whoever sends waits for those who are behind, so that they miss nothing."""
        super().check()
        if self._only_sent:
            assert self.behind.subscription.missed == 0, "a sender did not wait"

    def _relief(self, operation: str) -> Part:
        return partial(RELIEF.get(operation, lambda _: None), self)


def in_turn(*parts: Part) -> None:
    for part in parts:
        part()


def read_ready(reader: Reader[Subscription[Published]]) -> None:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            reader.got(reader.subscription.receive_nowait())


# Operations. Each is made ready before the threads begin.


def publish(meeting: Meeting, name: str) -> Part:
    return partial(meeting.publish, name)


def subscribe(meeting: Meeting, name: str) -> Part:
    return partial(meeting.reader, name)


def receive(meeting: Meeting, name: str) -> Part:
    """Take a message that is there."""
    behind = meeting.behind
    reader = meeting.ledger.heir(name, behind, behind.subscription.fork)
    return lambda: reader.got(reader.subscription.receive_blocking())


def park(meeting: Meeting, name: str) -> Part:
    """Wait for a message until it comes."""
    reader = meeting.reader(name)

    def wait() -> None:
        with suppress(anyio.EndOfStream):
            reader.got(reader.subscription.receive_blocking())

    return wait


class HastyLock(interleavings.Lock):
    """A lock for which nobody has time to wait."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return super().acquire(blocking=False)


def cancel(meeting: Meeting, name: str) -> Part:
    """Wait for a message, and give up at once."""
    reader = meeting.reader(name)
    subscription = reader.subscription
    with patch.object(on_threads, "Lock", HastyLock):
        subscription._waiter = meeting.topic._waiting.thread(subscription._waiter)

    def wait_in_vain() -> None:
        with suppress(TimeoutError, anyio.EndOfStream):
            reader.got(subscription.receive_blocking(timeout=0.015))

    return wait_in_vain


def cut(meeting: Meeting, name: str) -> Part:
    """Publish more than the topic keeps for one that is behind."""
    return partial(meeting.publish, name)


def close(meeting: Meeting, _: str) -> Part:
    return meeting.topic.close


def read_lag(meeting: Meeting, name: str) -> Part:
    """Look at the lag of one that has read everything, and of all."""
    reader = meeting.reader(name)
    subscription, topic = reader.subscription, meeting.topic

    def read_and_look() -> None:
        read_ready(reader)
        lags = [subscription.lag, *(row.lag for row in topic.statistics().subscriptions)]
        assert min(lags) >= 0
        assert max(lags) <= topic.published

    return read_and_look


def send(meeting: Meeting, name: str) -> Part:
    """Publish when there is room, of which there is none yet."""

    def wait_and_publish() -> None:
        with suppress(anyio.ClosedResourceError), meeting.ledger.publishing(name) as value:
            meeting.topic.send_blocking(value)

    return wait_and_publish


OPERATIONS: dict[str, Callable[[Meeting, str], Part]] = {
    operation.__name__: operation
    for operation in (publish, subscribe, receive, park, cancel, cut, close, read_lag, send)
}
RELIEF: dict[str, Callable[[Meeting], object]] = {
    "park": lambda meeting: meeting.publish("relief"),
    "send": Meeting.make_room,
}


@pytest.fixture(autouse=True)
def _time_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0, 0.01)
    for module in (subscription_module, checks, on_threads):
        monkeypatch.setattr(module, "monotonic", lambda: next(clock), raising=False)
        # The explorer ends waits that have a timeout when nothing else can happen. A reader without
        # one waits for TIMEOUT_MAX, which would hide that nobody woke it.
        monkeypatch.setattr(module, "TIMEOUT_MAX", -1, raising=False)


def explore(make: Callable[[], Meeting], most: int) -> None:
    explored = interleavings.explore(make, within=WITHIN, bound=1, most=most, at_random=AT_RANDOM)
    assert explored.schedules > AT_RANDOM + 1
    assert explored.complete or explored.schedules == most + AT_RANDOM


def explore_pair(first: str, second: str) -> None:
    explore(partial(Pair, first, second), most=SOME if {first, second} & LONG else ALL)


@pytest.mark.parametrize(
    ("first", "second"), list(combinations_with_replacement(OPERATIONS, 2)), ids=str
)
def test_p1_p3_p11_any_two_operations_keep_the_law(first: str, second: str) -> None:
    explore_pair(first, second)


@pytest.mark.parametrize(
    "operations", list(combinations_with_replacement(["publish", "cut", "close"], 3)), ids="-".join
)
def test_p1_p3_e4_any_three_of_publish_cut_and_close_keep_the_law(
    operations: tuple[str, str, str],
) -> None:
    explore(partial(Meeting, *operations), most=SOME // 2)


# What is planted.


def who_parks_does_not_look_again(patch: pytest.MonkeyPatch) -> None:
    enter = Parking.enter

    def enter_for_good(self: Parking[Any], waiter: Any, reader: Any) -> bool:
        enter(self, waiter, reader)
        self.parked[waiter] = reader
        return True

    patch.setattr(Parking, "enter", enter_for_good)


def who_links_does_not_look_again(patch: pytest.MonkeyPatch) -> None:
    def link_once(self: Topic[Any]) -> None:
        try:
            del self._turn.free
        except AttributeError:
            return
        self._link_all()
        self._turn.free = True

    patch.setattr(Topic, "_link_inbox", link_once)


def there_is_always_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Senders, "room", lambda *_: True)


def a_publisher_lets_others_see_a_message_too_early(patch: pytest.MonkeyPatch) -> None:
    def link(self: Topic[Any], entry: Any) -> None:
        end, published = self._end
        end.value, end.time, end.next = entry[1], 0.0, entry[5]
        self._end = entry[6], published + 1
        del entry[3][1]

    patch.setattr(Topic, "_link", link)


@pytest.mark.parametrize(
    ("plant", "first", "second", "complaint"),
    [
        (who_parks_does_not_look_again, "publish", "park", "every thread waits"),
        (who_links_does_not_look_again, "publish", "publish", "AssertionError"),
        (there_is_always_room, "send", "send", "a sender did not wait"),
        (a_publisher_lets_others_see_a_message_too_early, "publish", "read_lag", "AssertionError"),
    ],
)
def test_what_is_planted_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    first: str,
    second: str,
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    monkeypatch.setitem(globals(), "WITHIN", [driftline, sys.modules[__name__]])
    with pytest.raises(FailedSchedule, match=complaint):
        explore_pair(first, second)
