"""What can be set for a topic, for a bus as the default, and for one of its topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from driftline._core.topic import Topic


class TopicSettings(TypedDict, total=False):
    """The keyword arguments of `Topic`."""

    limit: int | None
    limit_bytes: int | None
    limit_seconds: float | None
    replay: int
    replay_seconds: float | None
    sizeof: Callable[[Any], int] | None


def check_settings(settings: TopicSettings) -> None:
    """Refuse settings that there are not, or that make no sense."""
    unknown = settings.keys() - TopicSettings.__annotations__
    if unknown:
        known = ", ".join(TopicSettings.__annotations__)
        raise TypeError(f"there is no setting {min(unknown)!r}; a topic has {known}")
    if settings:
        Topic("", **settings)


def refuse_others(topic: str, made: TopicSettings, settings: TopicSettings) -> None:
    """Refuse settings for a topic that is there with others."""
    for name, value in settings.items():
        before = made.get(name, 0 if name == "replay" else None)
        if before != value:
            raise ValueError(
                f"the topic {topic!r} is there already, made with {name}={before!r} and not "
                f"{value!r}: give its settings where it is first named, and keep it"
            )
