"""The scenarios find nothing in driftline, and find what is planted there."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

import anyio
import pytest

from driftline import Subscription
from driftline._bus.topics import BusTopic
from driftline._core.parking.base import Parking
from driftline._core.senders import Sender
from driftline._core.subscribable import Subscribable
from schedules.__main__ import main
from schedules.batch import LOOPS, Batch, run
from schedules.scenarios import SCENARIOS

pytestmark = pytest.mark.once

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_p1_p3_p6_every_scenario_keeps_the_law_in_some_hundred_orders(
    scenario: str, loop: str
) -> None:
    outcome = run(Batch(scenario, loop, range(200)))
    assert outcome.failure is None, outcome.failure
    assert len(outcome.orders) > 100


def a_cancelled_wait_consumes(patch: pytest.MonkeyPatch) -> None:
    receive = Subscription.receive

    async def consume(self: Subscription[Any]) -> Any:
        try:
            return await receive(self)
        except anyio.get_cancelled_exc_class():
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                self.receive_nowait()
            raise

    patch.setattr(Subscription, "receive", consume)


def who_waits_on_is_not_called_again(patch: pytest.MonkeyPatch) -> None:
    def enter(self: Parking[Any], waiter: Any, reader: Any) -> bool:
        self.parked[waiter] = reader
        return True

    def ready(self: Parking[Any]) -> list[Any]:
        self.queued = False
        return [waiter for waiter, reader in self.parked.items() if reader._link.next is not None]

    patch.setattr(Parking, "enter", enter)
    patch.setattr(Parking, "ready", ready)


def who_has_sent_does_not_wake_the_next(patch: pytest.MonkeyPatch) -> None:
    def leave(self: Sender) -> None:
        self._stand_back()
        self._senders.queue.remove(self)

    patch.setattr(Sender, "leave", leave)
    patch.setattr("driftline._core.senders._LONG_PAUSE", inf)


def a_cut_is_not_told_in_full(patch: pytest.MonkeyPatch) -> None:
    miss = Subscription._miss

    def miss_and_tell_of_one_less(self: Subscription[Any]) -> None:
        before = self._missed
        miss(self)
        if self._missed > before:
            self._missed -= 1
            self._start += 1

    patch.setattr(Subscription, "_miss", miss_and_tell_of_one_less)


def a_fork_is_one_behind(patch: pytest.MonkeyPatch) -> None:
    fork = Subscription.fork

    def fork_late(self: Subscription[Any]) -> Subscription[Any]:
        new = fork(self)
        if new.lag:
            new._link = new._link.next  # type: ignore[assignment]
        return new

    patch.setattr(Subscription, "fork", fork_late)


def a_topic_looks_at_the_patterns_once(patch: pytest.MonkeyPatch) -> None:
    look = BusTopic._look

    def look_once(self: BusTopic[Any]) -> None:
        if self._version < 0:
            look(self)

    patch.setattr(BusTopic, "_look", look_once)


def a_parked_place_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Subscribable, "_park", lambda *_: None)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("plant", "scenario"),
    [
        (a_cancelled_wait_consumes, "ending"),
        (who_waits_on_is_not_called_again, "reading"),
        (who_has_sent_does_not_wake_the_next, "sending"),
        (a_cut_is_not_told_in_full, "cutting"),
        (a_fork_is_one_behind, "reading"),
        (a_topic_looks_at_the_patterns_once, "matching"),
        (a_parked_place_is_not_kept, "returning"),
    ],
)
def test_what_is_planted_is_found_and_its_command_shows_it_again(
    plant: Plant,
    scenario: str,
    loop: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as planted:
        plant(planted)
        assert main(["--only", scenario, "--on", loop, f"--{loop}", "1000"]) == 1
        found = capsys.readouterr().err
        *_, command = found.splitlines()
        arguments = shlex.split(command.partition(" -m schedules ")[2])
        assert "--seeds" in arguments
        assert main(arguments) == 1
        assert capsys.readouterr().err.splitlines()[-4:] == found.splitlines()[-4:]
    assert main(arguments) == 0
    assert f"| {scenario} | {loop} | 1 | 1 |" in capsys.readouterr().out
