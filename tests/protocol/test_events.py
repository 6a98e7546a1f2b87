"""What the hub says, into frames and out of them, whatever its values are."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftline.protocol import (
    Authenticated,
    Delivered,
    Ended,
    Event,
    Missed,
    Pong,
    Published,
    Refused,
    Subscribed,
    Unsubscribed,
    parse_event,
    write_event,
    write_json,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
texts = st.text(max_size=50)
counts = st.integers(0, 2**53)
ids = st.none() | texts | counts
codes = ["bad-request", "not-json", "not-allowed", "too-many", "lost", "closed"]
events = st.one_of(
    st.builds(
        Delivered,
        to=texts,
        topic=texts,
        seq=counts,
        at=st.floats(0, 1e12),
        value=json_values | st.binary(),
    ),
    st.builds(Missed, to=texts, count=counts),
    st.builds(Ended, to=texts),
    st.builds(Subscribed, to=texts, position=st.none() | texts, resume=st.none() | texts, id=ids),
    st.builds(Unsubscribed, to=texts, id=ids),
    st.builds(Published, id=ids),
    st.builds(Authenticated, id=ids),
    st.builds(Pong, id=ids),
    st.builds(
        Refused,
        code=st.sampled_from(codes),
        reason=texts,
        missed=st.none() | counts,
        id=ids,
    ),
)


class Awkward:
    """An object that JSON has no form for."""

    def __repr__(self) -> str:
        return "<awkward \ud800>"


class Worse:
    """One that has no form at all."""

    def __repr__(self) -> str:
        raise OSError("no")


def delivered(value: Any) -> Delivered:
    return Delivered(to="a", topic="a", seq=1, at=2.5, value=value)


def heard(value: Any) -> Any:
    """Return what a client gets of a value."""
    event = parse_event(write_event(delivered(value)))
    assert isinstance(event, Delivered)
    assert (event.to, event.topic, event.seq, event.at) == ("a", "a", 1, 2.5)
    return event.value


@given(events)
@example(delivered(None))
@example(delivered("\ud800"))
def test_what_is_said_is_heard(event: Event) -> None:
    again = parse_event(write_event(event))
    assert again == event
    assert type(again) is type(event)


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (
            '{"type": "message", "to": "a", "topic": "a", "seq": 17, "at": 1.25, "value": "GET"}',
            Delivered(to="a", topic="a", seq=17, at=1.25, value="GET"),
        ),
        ('{"type": "missed", "to": "a", "count": 120}', Missed(to="a", count=120)),
        ('{"type": "ended", "to": "chat.tea"}', Ended(to="chat.tea")),
        (
            '{"type": "subscribed", "id": 1, "to": "a", "position": "kWq0.42", "resume": "mFq3"}',
            Subscribed(to="a", position="kWq0.42", resume="mFq3", id=1),
        ),
        ('{"type": "unsubscribed", "id": 3, "to": "a"}', Unsubscribed(to="a", id=3)),
        ('{"type": "published", "id": 4}', Published(id=4)),
        ('{"type": "authenticated"}', Authenticated()),
        ('{"type": "pong", "id": 5}', Pong(id=5)),
        (
            '{"type": "error", "id": 1, "code": "lost", "reason": "gone", "missed": 3}',
            Refused(code="lost", reason="gone", missed=3, id=1),
        ),
    ],
)
def test_the_events_of_the_page_are_read(frame: str, event: Event) -> None:
    assert parse_event(frame) == event
    more = json.loads(frame) | {"in a later release": [1]}
    assert parse_event(json.dumps(more)) == event


def test_what_a_client_does_not_know_it_passes_over() -> None:
    assert parse_event('{"type": "weather", "to": "a"}') is None


@pytest.mark.parametrize(
    "frame",
    ["", "[]", "{}", '{"type": "missed", "to": "a"}', b"", b"\x00\x00\x00\x02{}"],
    ids=repr,
)
def test_what_is_no_frame_is_a_value_error(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"frame|lacks"):
        parse_event(frame)


@given(st.text() | st.binary())
def test_any_frame_is_an_event_or_refused(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        parse_event(frame)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_sent_as_they_are(kind: type) -> None:
    frame = write_event(delivered(kind(b"\x00\xff")))
    assert isinstance(frame, bytes)
    assert frame.endswith(b"\x00\xff")
    assert heard(kind(b"\x00\xff")) == b"\x00\xff"


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def circle() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1 + 2j, "(1+2j)"),
        ([1, {2}], [1, "{2}"]),
        ({1: 2, None: 3}, {"1": 2, "null": 3}),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (math.nan, "nan"),
        ([1.5, math.inf], "[1.5, inf]"),
        ({"a": [math.nan]}, "{'a': [nan]}"),
        (circle(), "[[...]]"),
        (Awkward(), "<awkward \ud800>"),
        ([Awkward(), "\ud800", "\u00e4"], ["<awkward \ud800>", "\ud800", "\u00e4"]),
    ],
    ids=str,
)
def test_what_json_has_no_form_for_is_said_in_words(value: Any, form: Any) -> None:
    assert heard(value) == form
    assert json.loads(write_json(value)) == form


@pytest.mark.parametrize(
    "make",
    [Worse, lambda: [Worse()], lambda: {Worse(): 1}, lambda: nested(100_000), lambda: 10**5000],
    ids=["alone", "in a list", "as a key", "too deep", "too large"],
)
def test_whatever_the_value_is_something_is_said(make: Callable[[], Any]) -> None:
    value = make()
    assert "object at 0x" in json.dumps(heard(value))
    assert "object at 0x" in write_json(value)
