"""What a reader tolerates, and how it is told what it has missed.

Invariants:

T1. Messages are missed in one step: counted, passed over, and noted in `_untold`. They are told of
    in the next, so that whatever happens in between, they will be. They are `_untold` until
    nothing can come between that and telling.
T2. A reader looks for gaps and at its own limits when it reads. `_mask` makes it look for every
    message if it has limits of its own, and otherwise only where its link does not lead on.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any, Final, Generic, Literal, TypeVar, get_args

from driftline._core.checks import checked_choice, checked_limit
from driftline._core.errors import Lagged, SlowConsumer
from driftline._core.hold import Hold
from driftline._core.link import CLOSED, Gap, Link
from driftline._core.parking import EVERY, let_go
from driftline._core.visible import Visible

T = TypeVar("T")

OnLag = Literal["raise", "skip", "latest", "close"]
"""What happens to a reader that is too far behind; `Topic.subscribe` says what each does."""
ON_LAG: Final = get_args(OnLag)
Tolerance = tuple[float, float, float, OnLag]


class NotYet(Exception):
    """There is nothing to take at this place; look again."""


class Tolerant(Visible[T], Generic[T]):
    """The part of a `Subscription` that deals with lag."""

    __slots__ = ("_mask", "_max_lag", "_max_lag_bytes", "_max_lag_seconds", "_on_lag", "_untold")

    _mask: int
    _on_lag: OnLag
    _untold: int  # messages missed that the reader was not told of

    @property
    def _tolerance(self) -> Tolerance:
        return self._max_lag, self._max_lag_seconds, self._max_lag_bytes, self._on_lag

    def _tolerate(
        self, max_lag: float, max_lag_seconds: float, max_lag_bytes: float, on_lag: OnLag
    ) -> None:
        self._max_lag = max_lag
        self._max_lag_seconds = max_lag_seconds
        self._max_lag_bytes = max_lag_bytes
        self._on_lag = on_lag
        self._mask = EVERY if min(max_lag, max_lag_seconds, max_lag_bytes) == inf else 0

    @property
    def max_lag(self) -> int | None:
        """How many messages it may be behind when it is read; None is any number.

        Can be set at any time, and holds from the next message on; likewise the others.
        """
        return None if self._max_lag == inf else int(self._max_lag)

    @max_lag.setter
    def max_lag(self, messages: int | None) -> None:
        limit = checked_limit("max_lag", messages, whole="messages")
        self._tolerate(limit, self._max_lag_seconds, self._max_lag_bytes, self._on_lag)

    @property
    def max_lag_seconds(self) -> float | None:
        """How old the next message may be when it is read; None is any age."""
        return None if self._max_lag_seconds == inf else self._max_lag_seconds

    @max_lag_seconds.setter
    def max_lag_seconds(self, seconds: float | None) -> None:
        limit = checked_limit("max_lag_seconds", seconds)
        self._tolerate(self._max_lag, limit, self._max_lag_bytes, self._on_lag)

    @property
    def max_lag_bytes(self) -> int | None:
        """How many bytes it may be behind when it is read; None is any number."""
        return None if self._max_lag_bytes == inf else int(self._max_lag_bytes)

    @max_lag_bytes.setter
    def max_lag_bytes(self, size: int | None) -> None:
        limit = checked_limit("max_lag_bytes", size, whole="bytes", sizeof=self._topic._sizeof)
        self._tolerate(self._max_lag, self._max_lag_seconds, limit, self._on_lag)

    @property
    def on_lag(self) -> OnLag:
        """What happens when it is too far behind, "raise", "skip", "latest" or "close"."""
        return self._on_lag

    @on_lag.setter
    def on_lag(self, on_lag: OnLag) -> None:
        self._on_lag = checked_choice("on_lag", on_lag, ON_LAG)

    def _keep_up(self) -> bool:
        """Pass over what cannot be had any more or is more than tolerated; tell what was missed.

        Return whether there is a message then.
        """
        if isinstance(self._link.next, Gap) or self._mask == 0:  # in no variable: S3
            self._miss()
        if self._untold:
            self._tell(self._untold)
        return bool(self._link.next)

    def _tell(self, missed: int) -> None:
        error: Exception | None = None
        if self._on_lag == "raise":
            error = Lagged(missed, self._topic.name, self._name)
        elif self._on_lag == "close":
            error = SlowConsumer(missed, self._topic.name, self._name)
            self.close()
        try:
            self._untold = 0
            if error is not None:
                raise error
        finally:
            del error  # it has this frame

    def _miss(self) -> None:
        end, published = self._topic._end
        total, now = end.before, monotonic()

        def too_far(link: Link[Any], seq: int) -> bool:
            return (
                published - seq > self._max_lag
                or total - link.before > self._max_lag_bytes
                or now - link.time > self._max_lag_seconds
            )

        def not_the_newest(link: Link[Any], seq: int) -> bool:
            return published - seq > 1

        to, reached = self._first()
        to, reached = self._topic._limits.seek(to, reached, too_far)
        if self._on_lag == "latest" and reached > self._seq:
            to, reached = self._topic._limits.seek(to, reached, not_the_newest)
        self._move(Hold(self._link), to, missed=reached - self._seq)

    def _first(self) -> tuple[Hold, int]:
        """Return the first link that can still be had, and its number."""
        hold = Hold(self._link)
        gap = hold.link.next
        if isinstance(gap, Gap):
            kept = gap.kept
            return Hold(kept), kept.seq
        return hold, self._seq

    def _move(
        self, start: Hold, to: Hold, *, received: int = 0, skipped: int = 0, missed: int = 0
    ) -> None:
        """Move from the start, where it stands, to another link."""
        self._received += received
        self._skipped += skipped
        self._missed += missed
        self._untold += missed
        self._link = to.link  # last (L2)
        let_go(start)
        if self._closed and to.link is not CLOSED:
            self._forget()

    def _begin(self, to: Hold, seq: int) -> None:
        """Begin elsewhere, nothing having been read."""
        self._start = seq
        self._move(Hold(self._link), to)

    def _forget(self) -> None:
        if self._link is not CLOSED:
            self._move(Hold(self._link), Hold(CLOSED))

    def close(self) -> None:
        """Stop reading."""
        raise NotImplementedError
