"""What clients say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from driftline._protocol.fields import Fields, Id, ProtocolError
from driftline._protocol.frames import Frame, NotJSON, read_frame, write_frame

OnLag = Literal["skip", "latest", "close"]

LONGEST_NAME: Final = 100
LONGEST_KEEP: Final = 300.0  # seconds
LONGEST_TO: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Ask for the messages of names and patterns."""

    patterns: tuple[str, ...]
    """One or more; a name is one, too."""
    name: str | None = None
    """What the inspector calls this reader; None is its address."""
    replay: int | None = None
    """How many messages from before to begin with."""
    since: str | None = None
    """The position after which to go on; for a single name."""
    keep: float | None = None
    """Seconds for which the place is kept when the connection is lost."""
    max_lag: int | None = None
    """How many messages it may be behind; None is as the hub says, likewise the next two."""
    max_lag_seconds: float | None = None
    """How old the next message may be."""
    max_lag_bytes: int | None = None
    """How many bytes it may be behind."""
    on_lag: OnLag | None = None
    """What happens then, as in `OnLag`; None is "skip"."""
    id: Id | None = None
    """Comes back in the answer, as that of all requests."""

    @property
    def to(self) -> str:
        """What the hub calls this subscription."""
        return " ".join(sorted(set(self.patterns)))

    @property
    def is_single(self) -> bool:
        """Whether it is for one name, which has positions, and not for patterns."""
        return len(set(self.patterns)) == 1 and not {"*", ">"} & set(self.patterns[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on where a lost connection was, after so many messages."""

    resume: str
    """What `Subscribed` gave."""
    count: int
    """How many messages have been had since the subscription began, missed ones included."""
    id: Id | None = None
    """Comes back in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Say how many messages of a subscription have been had."""

    to: str
    """The subscription, as `Subscribed` names it."""
    count: int
    """How many, counted as for `Resume`."""
    id: Id | None = None
    """Comes back in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Ask for no more messages of a subscription."""

    to: str
    """The subscription, as `Subscribed` names it."""
    id: Id | None = None
    """Comes back in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Publish a value."""

    topic: str
    """The name of the topic."""
    value: Any
    """Any JSON, or bytes."""
    id: Id | None = None
    """Comes back in the answer; without one, only an error is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Say who one is."""

    token: str
    """As the hub knows it."""
    id: Id | None = None
    """Comes back in the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask for an answer."""

    id: Id | None = None
    """Comes back in the answer."""


Request = Subscribe | Resume | Acknowledge | Unsubscribe | Publish | Authenticate | Ping
"""Any of the classes above."""

_TYPES: Final[dict[type[Request], str]] = {
    Subscribe: "subscribe",
    Resume: "resume",
    Acknowledge: "acknowledge",
    Unsubscribe: "unsubscribe",
    Publish: "publish",
    Authenticate: "authenticate",
    Ping: "ping",
}


def parse_request(frame: Frame) -> Request:
    """Return what a client says.

    Raises:
        ProtocolError: it is not as the protocol says.
    """
    try:
        found, beside = read_frame(frame)
    except NotJSON as error:
        raise ProtocolError("not-json", str(error)) from None
    fields = Fields(found)
    if fields.type == "publish":
        request: Request = Publish(
            topic=fields.text("topic"), value=fields.value(beside), id=fields.id
        )
        fields.end()
        return request
    request = _parse_without_value(fields)
    fields.end(beside)
    return request


def write_request(request: Request) -> Frame:
    """Return the frame that says it."""
    return write_frame(_TYPES[type(request)], request)


def _parse_without_value(fields: Fields) -> Request:
    match fields.type:
        case "subscribe":
            return Subscribe(
                patterns=fields.texts("patterns"),
                name=fields.optional_text("name", longest=LONGEST_NAME),
                replay=fields.whole("replay"),
                since=fields.optional_text("since"),
                keep=fields.seconds("keep", most=LONGEST_KEEP),
                max_lag=fields.whole("max_lag", least=1),
                max_lag_seconds=fields.seconds("max_lag_seconds"),
                max_lag_bytes=fields.whole("max_lag_bytes", least=1),
                on_lag=cast("OnLag | None", fields.one_of("on_lag", ("skip", "latest", "close"))),
                id=fields.id,
            )
        case "resume":
            return Resume(
                resume=fields.text("resume"), count=fields.needed_whole("count"), id=fields.id
            )
        case "acknowledge":
            return Acknowledge(
                to=fields.text("to", longest=LONGEST_TO),
                count=fields.needed_whole("count"),
                id=fields.id,
            )
        case "unsubscribe":
            return Unsubscribe(to=fields.text("to", longest=LONGEST_TO), id=fields.id)
        case "authenticate":
            return Authenticate(token=fields.text("token"), id=fields.id)
        case "ping":
            return Ping(id=fields.id)
    known = ", ".join(_TYPES.values())
    raise fields.error(f"there is no request of type {fields.type[:40]!r}; there are {known}")
