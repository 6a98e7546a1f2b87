"""Publishing when the garbage collector finds something, which may be at any allocation."""

from __future__ import annotations

import gc

from reentry.stage import Stage, Tick


class Farewell:
    """Publishes when the garbage collector finds it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.cycle = self

    def __del__(self) -> None:
        self.stage.publish("finalizer")


def finalizers(threshold: int, messages: int, tick: Tick) -> None:
    """Publish half of the messages as usual, and half in finalizers.

    Args:
        threshold: After so many new objects the garbage collector runs.
        messages: How many.
        tick: Is told how many were published.
    """
    before = gc.get_threshold()
    # A finalizer may run in another one, so they have no order.
    with Stage("usual", others=("finalizer",)) as stage:
        gc.set_threshold(threshold)
        try:
            for number in range(messages // 2):
                Farewell(stage)
                stage.publish("usual")
                if number % 1_000 == 0:
                    tick(2 * number)
                    stage.keep_pace()
        finally:
            gc.set_threshold(*before)
        gc.collect()
