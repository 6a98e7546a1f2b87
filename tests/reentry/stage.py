"""A topic, and a thread that takes everything that is published there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from time import sleep
from typing import Self

from driftline import Topic
from proof.law import Published
from reentry.roll import Roll

BEHIND = 20_000  # messages; so far the reader may be behind

Tick = Callable[[int], object]
"""Is told how many messages were published."""


class Stage:
    """Publishers are known by name and number their messages. Leave it, and all is compared.

    Args:
        in_order: As for `Roll`.
        others: Publishers that are not.
        topic: Where to publish, if not on a topic of its own.
    """

    def __init__(
        self, *in_order: str, others: tuple[str, ...] = (), topic: Topic[Published] | None = None
    ) -> None:
        self.topic = topic or Topic[Published]("reentry")
        self._numbers = {name: count() for name in (*in_order, *others)}
        self._roll = Roll(*in_order)
        self._subscription = self.topic.subscribe()
        self._error: BaseException | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def publish(self, publisher: str) -> None:
        """Publish the next message of this publisher."""
        self.topic.publish((publisher, next(self._numbers[publisher])))

    def keep_pace(self) -> None:
        """Wait for the reader, if it is far behind, for the sake of memory."""
        while self._subscription.lag > BEHIND and self._reader.is_alive():
            sleep(0.001)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.topic.close()
        self._reader.join()
        if self._error is not None:
            raise self._error
        if kind is None:
            self._roll.check({name: next(numbers) for name, numbers in self._numbers.items()})

    def _read(self) -> None:
        try:
            for value in self._subscription:
                self._roll.came(value)
        except BaseException as error:
            self._error = error
