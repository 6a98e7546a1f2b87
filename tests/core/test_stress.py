"""Four threads do anything with one topic, while Python switches between them as often as it can.

Unlike in the explored schedules, a switch may come within any instruction of any module.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from random import Random

import anyio
import pytest

from driftline import Lagged, PositionLost, SlowConsumer, Subscription, Topic
from driftline._core.invariants import check
from driftline._core.tolerance import ON_LAG
from driftline._core.turn import Turn
from proof.law import LawBroken, Ledger, Published, Reader

THREADS = 4
STEPS = 1_500
PATIENCE = 60.0  # seconds, after which a thread hangs
MOMENT = 0.001  # seconds


@contextmanager
def switching_threads_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


class Actor:
    """A thread that publishes, and has one subscription at a time."""

    def __init__(self, ledger: Ledger, topic: Topic[Published], number: int) -> None:
        self.name = f"actor {number}"
        self.lots = Random(number)
        self.ledger = ledger
        self.topic = topic
        self.reader = self.subscribed()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do many things, of which any may be told that messages were missed."""
        try:
            for _ in range(STEPS):
                with suppress(Lagged, TimeoutError, anyio.WouldBlock):
                    try:
                        self.lots.choice(DEEDS)(self)
                    except SlowConsumer:
                        self.reader.leave()
                        self.reader = self.subscribed()
        except BaseException as error:
            self.error = error

    def subscribed(self) -> Reader[Subscription[Published]]:
        on_lag = self.lots.choice(ON_LAG)
        return self.ledger.reader(self.name, partial(self.topic.subscribe, on_lag=on_lag))

    def publish(self) -> None:
        self.ledger.publish(self.name)

    def send(self) -> None:
        if self.topic.limit is not None:
            with self.ledger.publishing(self.name) as value:
                self.topic.send_blocking(value, timeout=MOMENT)

    def take(self) -> None:
        for _ in range(self.lots.randrange(8)):
            with self.ledger.reading():
                value = self.reader.subscription.receive_nowait()
            self.reader.got(value)

    def wait(self) -> None:
        with self.ledger.reading():
            value = self.reader.subscription.receive_blocking(timeout=MOMENT)
        self.reader.got(value)

    def skip(self) -> None:
        self.reader.subscription.skip(self.lots.randrange(3))

    def skip_to_latest(self) -> None:
        self.reader.subscription.skip_to_latest()

    def fork(self) -> None:
        self._follow(self.reader.subscription.fork)

    def park(self) -> None:
        position = self.reader.subscription.park(PATIENCE)
        try:
            self._follow(lambda: self.topic.subscribe(since=position))
        except PositionLost:
            self.reader.leave()
            self.reader = self.subscribed()

    def begin_anew(self) -> None:
        self.reader.leave()
        self.reader.subscription.close()
        self.reader = self.subscribed()

    def look(self) -> None:
        rows = self.topic.statistics().subscriptions
        assert all(row.lag >= 0 and (row.lag_seconds or 0) >= 0 for row in rows)

    def _follow(self, subscribe: Callable[[], Subscription[Published]]) -> None:
        heir = self.ledger.heir(self.name, self.reader, subscribe)
        self.reader.leave()
        self.reader.subscription.close()
        self.reader = heir


DEEDS: list[Callable[[Actor], None]] = [
    *(Actor.publish, Actor.publish, Actor.publish, Actor.send, Actor.take, Actor.take, Actor.wait),
    *(Actor.skip, Actor.skip_to_latest, Actor.fork, Actor.park, Actor.begin_anew, Actor.look),
]


def stress(limit: int | None) -> None:
    topic = Topic[Published]("topic", limit=limit)
    ledger = Ledger(topic)
    actors = [Actor(ledger, topic, number) for number in range(THREADS)]
    threads = [threading.Thread(target=actor.run, daemon=True) for actor in actors]
    with switching_threads_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    for actor in actors:
        if actor.error is not None:
            raise actor.error
    check(topic)
    for actor in actors:
        drain(actor.reader)
    ledger.check()


def stress_until_they_meet() -> None:
    """Stress often: at times no two threads come to one place together."""
    for _ in range(20):
        stress(None)


def drain(reader: Reader[Subscription[Published]]) -> None:
    with suppress(anyio.WouldBlock):
        while True:
            try:
                reader.got(reader.subscription.receive_nowait())
            except Lagged:
                pass
            except SlowConsumer:
                reader.leave()
                return


@pytest.mark.parametrize("limit", [None, 4, 64])
def test_p1_p3_p8_p11_four_threads_do_anything_and_keep_the_law(limit: int | None) -> None:
    stress(limit)


# They break waking as well, of which there is a report.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_in_the_turn_at_once_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class FreeForAll(Turn):
        """Anybody may take it, also while another has it."""

        __slots__ = ()

        def __delattr__(self, name: str) -> None:
            pass

    monkeypatch.setattr("driftline._core.topic.Turn", FreeForAll)
    with pytest.raises((LawBroken, AssertionError, IndexError, AttributeError)):
        stress_until_they_meet()
