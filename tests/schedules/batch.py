"""A batch: one scenario on one loop, with one seed after the other."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Coroutine
from hashlib import blake2b
from time import process_time
from types import ModuleType
from typing import Any, NamedTuple

from proof import FailedSchedule
from schedules import on_asyncio, on_trio
from schedules.play import Play
from schedules.scenarios import SCENARIOS

LOOPS: dict[str, ModuleType] = {"asyncio": on_asyncio, "trio": on_trio}


class Batch(NamedTuple):
    """What is to be run."""

    scenario: str
    loop: str
    seeds: range


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        orders: A digest of each order in which things were done.
        seconds: Of computing.
        failure: The text of it, and the seed.
    """

    batch: Batch
    orders: set[bytes]
    seconds: float
    failure: tuple[str, int] | None


def run(batch: Batch) -> Outcome:
    """Run the seeds until one fails."""
    orders: set[bytes] = set()
    loop = LOOPS[batch.loop]
    failure = None
    begun = process_time()
    gc.disable()  # so that it collects neither in the middle nor as often
    try:
        loop.explore(lambda: _play(SCENARIOS[batch.scenario], loop, orders), batch.seeds)
    except FailedSchedule as failed:
        text = "".join(traceback.format_exception(failed.__cause__))
        failure = text, int(str(failed.replay))
    finally:
        gc.enable()
        gc.collect()
    return Outcome(batch, orders, process_time() - begun, failure)


def _play(scenario: Any, loop: Any, orders: set[bytes]) -> Coroutine[Any, Any, None]:
    async def play() -> None:
        trace: list[str] = []
        await scenario(Play(loop, trace))
        orders.add(blake2b("".join(trace).encode(), digest_size=8).digest())

    return play()
