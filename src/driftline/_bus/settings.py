"""What can be set for a topic, for a bus as the default, and for one of its topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict


class TopicSettings(TypedDict, total=False):
    """The keyword arguments of `Topic`."""

    limit: int | None
    limit_bytes: int | None
    limit_seconds: float | None
    replay: int
    replay_seconds: float | None
    sizeof: Callable[[Any], int] | None
