"""What clients say, into frames and out of them: all that may be said, and nothing else."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Ping,
    ProtocolError,
    Publish,
    Request,
    Resume,
    Subscribe,
    Unsubscribe,
    parse_request,
    write_request,
)

LARGEST = 2**53

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
texts = st.text(max_size=50)
ids = st.none() | st.text(max_size=64) | st.integers(-LARGEST, LARGEST)
counts = st.integers(0, LARGEST)
more = st.none() | st.integers(1, LARGEST)
seconds = st.none() | st.floats(min_value=0, max_value=1e9, exclude_min=True)
requests = st.one_of(
    st.builds(
        Subscribe,
        patterns=st.lists(texts, min_size=1, max_size=32).map(tuple),
        name=st.none() | st.text(max_size=100),
        replay=st.none() | counts,
        since=st.none() | texts,
        keep=st.none() | st.floats(0, 300, exclude_min=True),
        max_lag=more,
        max_lag_seconds=seconds,
        max_lag_bytes=more,
        on_lag=st.sampled_from([None, "skip", "latest", "close"]),
        id=ids,
    ),
    st.builds(Resume, resume=texts, count=counts, id=ids),
    st.builds(Acknowledge, to=texts, count=counts, id=ids),
    st.builds(Unsubscribe, to=texts, id=ids),
    st.builds(Publish, topic=texts, value=json_values | st.binary(), id=ids),
    st.builds(Authenticate, token=texts, id=ids),
    st.builds(Ping, id=ids),
)


def said(**fields: Any) -> str:
    return json.dumps(fields)


def binary(fields: dict[str, Any], beside: bytes) -> bytes:
    text = json.dumps(fields).encode()
    return len(text).to_bytes(4, "big") + text + beside


def refusal(frame: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as refused:
        parse_request(frame)
    return refused.value


@given(requests)
@example(Publish(topic="a", value=None))
@example(Publish(topic="a", value=b""))
@example(Publish(topic="\ud800", value={"\udfff": "\ud800"}))
def test_what_is_said_is_heard(request: Request) -> None:
    heard = parse_request(write_request(request))
    assert heard == request
    assert type(heard) is type(request)


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        (
            '{"type": "subscribe", "id": 1, "patterns": ["logs.*", "alerts.>"], "replay": 10, '
            '"on_lag": "skip", "max_lag": 1000}',
            Subscribe(
                patterns=("logs.*", "alerts.>"), replay=10, on_lag="skip", max_lag=1000, id=1
            ),
        ),
        (
            '{"type": "resume", "id": 2, "resume": "mFq3", "count": 1041}',
            Resume(resume="mFq3", count=1041, id=2),
        ),
        (
            '{"type": "acknowledge", "to": "alerts.> logs.*", "count": 1041}',
            Acknowledge(to="alerts.> logs.*", count=1041),
        ),
        (
            '{"type": "unsubscribe", "id": 3, "to": "alerts.> logs.*"}',
            Unsubscribe(to="alerts.> logs.*", id=3),
        ),
        (
            '{"type": "publish", "id": 4, "topic": "chat.tea", "value": {"text": "hello"}}',
            Publish(topic="chat.tea", value={"text": "hello"}, id=4),
        ),
        ('{"type": "publish", "topic": "a", "value": null}', Publish(topic="a", value=None)),
        ('{"type": "authenticate", "token": "secret"}', Authenticate(token="secret")),
        ('{"type": "ping", "id": "five"}', Ping(id="five")),
    ],
)
def test_the_requests_of_the_page_are_read(frame: str, request_: Request) -> None:
    assert parse_request(frame) == request_
    text = frame.encode()
    if not isinstance(request_, Publish):
        assert refusal(len(text).to_bytes(4, "big") + text).code == "bad-request"


def test_bytes_stand_beside_the_object() -> None:
    frame = binary({"type": "publish", "topic": "a", "id": 1}, b"\x00\xff")
    assert parse_request(frame) == Publish(topic="a", value=b"\x00\xff", id=1)
    frame = binary({"type": "publish", "topic": "a", "value": 1}, b"")
    assert "beside the object" in refusal(frame).reason


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (said(type="subscribe"), "needs patterns"),
        (said(type="subscribe", patterns=[]), "a list of 1 to 32"),
        (said(type="subscribe", patterns=["a"] * 33), "a list of 1 to 32"),
        (said(type="subscribe", patterns="a"), "a list of 1 to 32"),
        (said(type="subscribe", patterns=[1]), "a list of 1 to 32"),
        (said(type="subscribe", patterns=["a" * 1025]), "a list of 1 to 32"),
        (said(type="subscribe", patterns=["a"], replay="ten"), 'or more, not "ten"'),
        (said(type="subscribe", patterns=["a"], replay=-1), "0 or more, not -1"),
        (said(type="subscribe", patterns=["a"], replay=1.0), "0 or more, not 1.0"),
        (said(type="subscribe", patterns=["a"], replay=True), "0 or more, not true"),
        (said(type="subscribe", patterns=["a"], replay=LARGEST + 1), "0 or more"),
        (said(type="subscribe", patterns=["a"], name="a" * 101), "at most 100"),
        (said(type="subscribe", patterns=["a"], name=1), "text"),
        (said(type="subscribe", patterns=["a"], since=1), "text"),
        (said(type="subscribe", patterns=["a"], keep=0), "more than 0, and at most 300, not 0"),
        (said(type="subscribe", patterns=["a"], keep=300.1), "at most 300, not 300.1"),
        (said(type="subscribe", patterns=["a"], keep=True), "seconds"),
        (said(type="subscribe", patterns=["a"], max_lag=0), "1 or more"),
        (said(type="subscribe", patterns=["a"], max_lag_seconds=0), "more than 0, not 0"),
        (said(type="subscribe", patterns=["a"], max_lag_seconds=10**400), "more than 0"),
        (said(type="subscribe", patterns=["a"], max_lag_bytes=0), "1 or more"),
        (said(type="subscribe", patterns=["a"], on_lag="raise"), 'not "raise"'),
        (said(type="subscribe", patterns=["a"], on_lag=[]), "not []"),
        (said(type="subscribe", patterns=["a"], replai=1), 'has no field "replai"'),
        (said(type="resume", count=1), "needs resume"),
        (said(type="resume", resume="a"), "needs count"),
        (said(type="resume", resume="a", count=-1), "0 or more"),
        (said(type="acknowledge", to="a"), "needs count"),
        (said(type="acknowledge", count=1), "needs to"),
        (said(type="unsubscribe"), "needs to"),
        (said(type="publish", topic="a"), "needs a value"),
        (said(type="publish", value=1), "needs topic"),
        (said(type="publish", topic="a", value=1, keep=True), "has no field"),
        (said(type="authenticate"), "needs token"),
        (said(type="authenticate", token=None), "needs token"),
        (said(type="ping", id=1.5), "id is text"),
        (said(type="ping", id="a" * 65), "id is text"),
        (said(type="ping", id=LARGEST + 1), "id is text"),
        (said(type="ping", id=True), "id is text"),
        (said(type="ping", to="a"), "has no field"),
        (said(type="pong"), "there is no request of type 'pong'"),
        (said(type="\ud800" * 100), "there is no request of type"),
    ],
)
def test_what_is_not_on_the_page_is_a_bad_request(frame: str, word: str) -> None:
    error = refusal(frame)
    assert error.code == "bad-request"
    assert word in error.reason
    assert str(error) == error.reason


def test_a_bad_request_is_answered_with_its_id() -> None:
    assert refusal(said(type="subscribe", id="one")).id == "one"
    assert refusal(said(type="nothing", id=1)).id == 1
    assert refusal(said(type="ping", id=[])).id is None


def test_reasons_show_what_is_wrong_and_not_all_of_it() -> None:
    assert len(refusal(said(type="subscribe", patterns=["a"], since=[0] * 1000)).reason) < 200


def test_what_can_be_read_and_not_written_is_refused_all_the_same() -> None:
    for depth in range(100, 1000):
        deep = "[" * depth + "]" * depth
        frame = '{"type": "subscribe", "patterns": ["a"], "since": ' + deep + "}"
        assert refusal(frame).code in {"bad-request", "not-json"}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "[]",
        "1",
        "null",
        '"subscribe"',
        "{}",
        '{"type": 1}',
        '{"type": null}',
        '{"type": "ping"',
        '{"type": "ping"} {}',
        '{"type": "publish", "topic": "a", "value": NaN}',
        '{"type": "publish", "topic": "a", "value": -Infinity}',
        '{"type": "publish", "topic": "a", "value": 1e999}',
        '{"type": "publish", "topic": "a", "value": [-1.0e400]}',
        '{"type": "publish", "topic": "a", "value": 1' + "0" * 5000 + "}",
        '{"type": "publish", "topic": "a", "value": ' + "[" * 100_000,
        '{"type": "publish", "topic": "a", "value": ' + "[" * 100_000 + "]" * 100_000 + "}",
        b"",
        b"\x00\x00\x00",
        b"\xff\xff\xff\xff{}",
        b'\x00\x00\x00\x10{"type":"ping"}',
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x02\xff\xff",
    ],
    ids=lambda frame: f"{frame!r:.60} {len(frame)}",
)
def test_what_is_no_object_with_a_type_is_not_json(frame: str | bytes) -> None:
    error = refusal(frame)
    assert error.code == "not-json"
    assert error.id is None
    assert len(error.reason) < 300


def parsed(frame: str | bytes) -> Request | ProtocolError:
    try:
        return parse_request(frame)
    except ProtocolError as error:
        return error


@given(st.text() | st.binary())
def test_any_frame_is_a_request_or_refused(frame: str | bytes) -> None:
    error = parsed(frame)
    assert isinstance(error, ProtocolError)
    assert error.code == "not-json"


kinds = st.sampled_from(
    ["subscribe", "resume", "acknowledge", "unsubscribe", "publish", "authenticate", "ping", ""]
)
names = st.sampled_from(
    [
        "patterns",
        "name",
        "replay",
        "since",
        "keep",
        "max_lag",
        "max_lag_seconds",
        "max_lag_bytes",
        "on_lag",
        "resume",
        "count",
        "to",
        "topic",
        "value",
        "token",
        "id",
        "type",
    ]
)
wild = json_values | st.sampled_from([math.nan, math.inf, 10**400, -(10**400), "a", ["a"], 0, 1])


@given(kinds, st.dictionaries(names, wild), st.none() | st.binary())
def test_any_object_is_a_request_or_refused(
    kind: str, fields: dict[str, Any], beside: bytes | None
) -> None:
    fields = {"type": kind} | fields
    request = parsed(json.dumps(fields) if beside is None else binary(fields, beside))
    if isinstance(request, ProtocolError):
        assert request.code in {"bad-request", "not-json"}
        assert request.reason
    else:
        assert parse_request(write_request(request)) == request
