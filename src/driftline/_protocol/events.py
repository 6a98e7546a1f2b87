"""What the hub says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from driftline._protocol.fields import Code, Id
from driftline._protocol.frames import Frame, NotJSON, read_frame, write_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A message."""

    to: str
    """The subscription."""
    topic: str
    """The name of its topic."""
    seq: int
    """Its number on its topic."""
    at: float
    """When it was published, in seconds since the epoch."""
    value: Any
    """Any JSON, or bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """So many messages are lost, which would have been here."""

    to: str
    """The subscription."""
    count: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The topic was closed, and with it this subscription."""

    to: str
    """The subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A subscription begins, or goes on."""

    to: str
    """The subscription, its patterns in order, with a space between them."""
    position: str | None = None
    """Where it begins, for a single name."""
    resume: str | None = None
    """The text with which `Resume` goes on, if `keep` was asked for."""
    id: Id | None = None
    """That of the request, as in all answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribed:
    """A subscription is over: as was asked, or because the hub has ended it."""

    to: str
    """The subscription."""
    id: Id | None = None
    """That of the request; None if nobody here has asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message was published."""

    id: Id | None = None
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """The token is good."""

    id: Id | None = None
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The answer to a ping."""

    id: Id | None = None
    """That of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A request was not done."""

    code: Code
    """What kind of error it is, such as "not-allowed"."""
    reason: str
    """What is wrong, for people."""
    missed: int | None = None
    """How many messages are lost, with "lost", if that is known."""
    id: Id | None = None
    """That of the request."""


Event = (
    Delivered
    | Missed
    | Ended
    | Subscribed
    | Unsubscribed
    | Published
    | Authenticated
    | Pong
    | Refused
)
"""Any of the classes above."""

_TYPES: Final[dict[type[Event], str]] = {
    Delivered: "message",
    Missed: "missed",
    Ended: "ended",
    Subscribed: "subscribed",
    Unsubscribed: "unsubscribed",
    Published: "published",
    Authenticated: "authenticated",
    Pong: "pong",
    Refused: "error",
}
_KINDS: Final = {name: kind for kind, name in _TYPES.items()}


def write_event(event: Event) -> Frame:
    """Return the frame that says it.

    A value that JSON has no form for is written as its `repr`.
    """
    return write_frame(_TYPES[type(event)], event)


def parse_event(frame: Frame) -> Event | None:
    """Return what the hub says, or None if this is not known here.

    Fields that are not known are passed over.

    Raises:
        ValueError: it is no frame of the protocol.
    """
    fields, beside = read_frame(frame)
    kind = _KINDS.get(fields.pop("type"))
    if kind is None:
        return None
    if beside is not None:
        fields["value"] = beside
    known = {name: fields[name] for name in kind.__slots__ if name in fields}
    try:
        return kind(**known)
    except TypeError as error:
        raise NotJSON(f"a message of the hub lacks something: {error}") from None
