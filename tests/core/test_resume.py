"""P1 and P2 for those who come back: positions, their text, and parked places."""

from __future__ import annotations

import string
import weakref
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Lagged, Position, PositionLost, Subscription, Topic
from driftline._core import places


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(places, "monotonic", clock)
    return clock


class Payload:
    """Something that can be seen to die."""


def rest(subscription: Subscription[Any]) -> list[Any]:
    return [subscription.receive_nowait() for _ in range(subscription.lag)]


def read(topic: Topic[int], messages: int) -> Position:
    """Return the position of a reader that has read so many, and is gone."""
    with topic.subscribe(replay=5) as subscription:
        for _ in range(messages):
            subscription.receive_nowait()
        return subscription.position


def test_a_position_is_a_short_text_and_back() -> None:
    topic = Topic[int]()
    subscription = topic.subscribe()
    topic.publish_many(range(42))
    subscription.skip(42)
    token = str(subscription.position)
    assert token == f"{topic._epoch}.42"
    assert len(token) == 11
    assert Position.parse(token) == subscription.position
    assert hash(Position.parse(token)) == hash(subscription.position)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("messages", range(6))
def test_p1_p2_a_reader_goes_on_exactly_after_its_position(messages: int, text: bool) -> None:
    topic = Topic[int](replay=5)
    topic.publish_many(range(5))
    position = read(topic, messages)
    subscription = topic.subscribe(since=str(position) if text else position)
    assert subscription.position == position
    topic.publish(5)
    assert rest(subscription) == list(range(messages, 6))
    counted = (subscription.received, subscription.missed, subscription.skipped)
    assert counted == (6 - messages, 0, 0)


def test_a_position_without_replay_holds_until_the_next_message() -> None:
    topic = Topic[int]()
    topic.publish_many(range(5))
    position = topic.subscribe().position
    subscription = topic.subscribe(since=position)
    topic.publish(5)
    assert rest(subscription) == [5]
    with pytest.raises(PositionLost) as lost:
        topic.subscribe(since=position)
    assert lost.value.missed == 1


@pytest.mark.parametrize(
    ("later", "missed"), [(0, None), (4, None), (5, None), (6, 1), (1_000, 995)]
)
def test_p1_a_position_that_is_lost_says_how_many_are(later: int, missed: int | None) -> None:
    topic = Topic[int](replay=5)
    topic.publish(0)
    position = topic.subscribe().position
    for number in range(later):
        topic.publish(number)
    if missed is None:
        assert rest(topic.subscribe(since=position)) == list(range(later))
        return
    with pytest.raises(PositionLost, match=f"too far back. {missed} messages are lost") as lost:
        topic.subscribe(since=position)
    assert lost.value.missed == missed
    assert not topic.subscriptions()


def test_a_position_of_another_topic_is_lost() -> None:
    topic, twin = Topic[int]("same", replay=5), Topic[int]("same", replay=5)
    topic.publish_many(range(5))
    twin.publish_many(range(5))
    with pytest.raises(PositionLost, match="of another topic, or of an earlier run") as lost:
        twin.subscribe(since=topic.subscribe().position)
    assert lost.value.missed is None
    assert "Subscribe without `since`" in str(lost.value)
    assert not twin.subscriptions()


def test_a_position_from_the_future_is_lost() -> None:
    topic = Topic[int](replay=5)
    topic.publish_many(range(5))
    for seq in (6, 10**19 - 1):
        with pytest.raises(PositionLost, match="ahead of the 5 so far") as lost:
            topic.subscribe(since=f"{topic._epoch}.{seq}")
        assert lost.value.missed is None


MALFORMED: list[tuple[Any, type[Exception]]] = [
    *((text, ValueError) for text in ("", ".", "42", "abc.1", "abcdefgh", "abcdefgh.")),
    *((text, ValueError) for text in ("abcdefghi.1", "abcdefgh.-0", "abcdefgh.-01", "abcdefgh.01")),
    *((text, ValueError) for text in ("abcdefgh.1.0", "abcdefgh.1\n", " abcdefgh.1")),
    *((text, ValueError) for text in ("abcdefgh.1e3", "abcdefgh.\u0663", "abc/efgh.1")),
    *((text, ValueError) for text in ("abcdefgh.\0", "abcdefgh." + "9" * 20, "x" * 1_000_000)),
    *((text, ValueError) for text in ("abcdefgh.-" + "9" * 20, "ABCDEFGH." + "9" * 1_000_000)),
    *((other, TypeError) for other in (b"abcdefgh.1", 1, 0, False, 1.5, ("abcdefgh", 1))),
]


def test_what_is_shown_of_a_token_that_is_none_is_bounded() -> None:
    with pytest.raises(ValueError, match="#") as error:
        Position.parse("#" * 1_000)
    assert str(error.value).count("#") == 80


@pytest.mark.parametrize(
    ("token", "error"), MALFORMED, ids=[repr(token)[:20] for token, _ in MALFORMED]
)
def test_a_malformed_token_is_refused(token: Any, error: type[Exception]) -> None:
    topic = Topic[int](replay=5)
    with pytest.raises(error, match="the text of a position") as caught:
        topic.subscribe(since=token)
    assert len(str(caught.value)) < 200
    with pytest.raises(error, match="the text of a position"):
        Position.parse(token)
    assert not topic.subscriptions()


ALPHABET = string.ascii_letters + string.digits + "-_"
NUMBERS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "-", "-", "0", "+"]),
    st.integers(0, 10) | st.sampled_from(["", 10**17, 10**19 - 1, 10**18, 2**63, 10**20]),
    st.just("") | st.sampled_from(["", " ", ".0", "e3", "_0", "\n", "\u0663"]),
)
TOKENS = st.builds(
    "{}{}{}".format,
    st.just("kWq0-_zN") | st.text(ALPHABET, min_size=7, max_size=9) | st.text(max_size=9),
    st.sampled_from([".", ".", ".", ""]),
    NUMBERS,
)


def is_the_text_of_a_position(text: str) -> bool:
    """Say slowly what such a text is."""
    epoch, _, number = text.partition(".")
    digits = number.removeprefix("-")
    return (
        len(epoch) == 8
        and set(epoch) <= set(ALPHABET)
        and set(digits) <= set(string.digits)
        and 1 <= len(digits) <= 19
        and number == str(int(number))
    )


@given(TOKENS)
def test_any_text_is_read_as_it_is_written_or_refused(text: str) -> None:
    if is_the_text_of_a_position(text):
        position = Position.parse(text)
        assert str(position) == text
    else:
        with pytest.raises(ValueError, match="not the text of a position"):
            Position.parse(text)


@given(st.integers(0, 10), st.integers(0, 10), NUMBERS)
def test_p1_p2_any_number_goes_on_exactly_or_is_lost_or_refused(
    published: int, replay: int, number: str
) -> None:
    topic = Topic[int](replay=replay)
    topic.publish_many(range(published))
    token = f"{topic._epoch}.{number}"
    if not is_the_text_of_a_position(token):
        with pytest.raises(ValueError, match="not the text of a position"):
            topic.subscribe(since=token)
        return
    seq, oldest = int(number), max(0, published - replay)
    if oldest <= seq <= published:
        subscription = topic.subscribe(since=token)
        topic.publish(published)
        assert rest(subscription) == list(range(seq, published + 1))
        return
    with pytest.raises(PositionLost) as lost:
        topic.subscribe(since=token)
    assert lost.value.missed == (oldest - seq if seq < oldest else None)
    assert not topic.subscriptions()


def test_a_position_before_all_is_lost() -> None:
    """Only streams of patterns have such positions, in what they begin with."""
    topic = Topic[int](replay=5)
    topic.publish_many(range(5))
    with pytest.raises(PositionLost, match="too far back") as lost:
        topic.subscribe(since=f"{topic._epoch}.-1")
    assert lost.value.missed == 1


@pytest.mark.parametrize("seq", [1.5, "1", None, True])
def test_a_position_made_by_hand_must_make_sense(seq: Any) -> None:
    topic = Topic[int](replay=5)
    topic.publish_many(range(5))
    with pytest.raises((TypeError, ValueError), match=r"since\.seq"):
        topic.subscribe(since=Position(topic._epoch, seq))
    assert not topic.subscriptions()


# Parked places.


def test_p1_a_parked_place_keeps_what_comes(clock: Clock) -> None:
    topic = Topic[int]()
    subscription = topic.subscribe()
    topic.publish_many(range(10))
    subscription.skip(3)
    position = subscription.park(60)
    assert position == subscription.position
    assert subscription.closed
    assert not topic.subscriptions()
    topic.publish_many(range(10, 3_000))
    clock.now += 59
    for _ in range(2):  # who comes back twice, perhaps because its first answer was lost
        assert rest(topic.subscribe(since=str(position))) == list(range(3, 3_000))
    later = topic.subscribe(since=Position(position.epoch, 2_000))
    assert rest(later) == list(range(2_000, 3_000))


@pytest.mark.parametrize("noticed_by", ["publish", "subscribe"])
def test_p7_a_parked_place_is_let_go_of_when_its_time_is_over(
    clock: Clock, noticed_by: str
) -> None:
    topic = Topic[Any]()
    subscription = topic.subscribe()
    payload = Payload()
    reference = weakref.ref(payload)
    topic.publish(payload)
    del payload
    position = subscription.park(60)
    clock.now += 59.5
    topic.publish(None)
    assert reference() is not None
    clock.now += 1
    if noticed_by == "publish":
        topic.publish(None)
        assert reference() is None
    with pytest.raises(PositionLost) as lost:
        topic.subscribe(since=position)
    assert lost.value.missed == topic.published
    assert reference() is None
    assert not topic._places


def test_p8_a_parked_place_is_cut_like_a_subscription(clock: Clock) -> None:
    topic = Topic[Any](limit=10)
    position = topic.subscribe().park(60)
    references = []
    for _ in range(100):
        payload = Payload()
        references.append(weakref.ref(payload))
        topic.publish(payload)
        del payload
    assert sum(reference() is not None for reference in references) == 10
    with pytest.raises(PositionLost) as lost:
        topic.subscribe(since=position)
    assert (lost.value.missed is None) or lost.value.missed <= 100


def test_the_nearest_of_several_places_is_taken(clock: Clock) -> None:
    topic = Topic[int]()
    positions = []
    for number in range(5):
        subscription = topic.subscribe()
        topic.publish(number)
        positions.append(subscription.park(60 + number))
    clock.now += 62.5  # the first three are over
    for position in positions[:3]:
        with pytest.raises(PositionLost) as lost:
            topic.subscribe(since=position)
        assert lost.value.missed == 5 - position.seq
    for position in positions[3:]:
        assert rest(topic.subscribe(since=position)) == list(range(position.seq, 5))


def test_p1_a_place_parked_in_a_gap_cannot_go_on() -> None:
    topic = Topic[int](limit=5)
    subscription = topic.subscribe()
    topic.publish_many(range(50))
    position = subscription.park(60)
    with pytest.raises(PositionLost):
        topic.subscribe(since=position)


def test_p1_a_reader_that_came_back_is_cut_like_any_other() -> None:
    topic = Topic[int](limit=10)
    subscription = topic.subscribe()
    topic.publish_many(range(5))
    back = topic.subscribe(since=subscription.park(60))
    topic.publish_many(range(5, 100))
    with pytest.raises(Lagged) as lagged:
        back.receive_nowait()
    assert lagged.value.missed == 90
    assert rest(back) == list(range(90, 100))


async def test_p10_a_closed_topic_lets_those_who_come_back_drain() -> None:
    topic = Topic[int]()
    subscription = topic.subscribe()
    topic.publish_many(range(5))
    position = subscription.park(60)
    topic.close()
    assert [value async for value in topic.subscribe(since=position)] == list(range(5))


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(0, ValueError), (-1, ValueError), (float("nan"), ValueError), ("60", TypeError)],
)
def test_parking_for_no_time_is_refused_and_changes_nothing(
    seconds: Any, error: type[Exception]
) -> None:
    topic = Topic[int]()
    subscription = topic.subscribe()
    topic.publish(1)
    with pytest.raises(error, match="seconds is a number"):
        subscription.park(seconds)
    assert not topic._places
    assert subscription.receive_nowait() == 1


def test_a_closed_subscription_cannot_be_parked() -> None:
    topic = Topic[int]()
    subscription = topic.subscribe()
    subscription.close()
    with pytest.raises(anyio.ClosedResourceError):
        subscription.park(60)
    assert not topic._places
