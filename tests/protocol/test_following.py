"""How a client counts what it has had, over all its connections."""

from driftline.protocol import (
    Acknowledge,
    Delivered,
    Ended,
    Following,
    Frame,
    Missed,
    Pong,
    Refused,
    Resume,
    Subscribe,
    Subscribed,
    parse_request,
    write_request,
)

REQUEST = Subscribe(patterns=("b", "a.>", "b"), keep=60, id="mine")
TO = "a.> b"


def parse_begin(stored: Frame) -> Subscribe | Resume:
    request = parse_request(stored)
    assert isinstance(request, Subscribe | Resume)
    return request


def message(to: str = TO) -> Delivered:
    return Delivered(to=to, topic="b", seq=1, at=0.0, value=None)


def following() -> Following:
    """Return one that has had its first answer."""
    new = Following(REQUEST)
    assert new.begin() is REQUEST
    assert new.see(Subscribed(to=TO, resume="key", id="mine")) == []
    return new


def test_a_lost_connection_is_resumed_with_what_was_had() -> None:
    mine = following()
    assert mine.see(message()) == mine.see(Missed(to=TO, count=5)) == mine.see(message()) == []
    assert (mine.count, mine.missed) == (7, 5)
    assert mine.begin() == Resume(resume="key", count=7, id="mine")
    assert mine.see(Subscribed(to=TO, resume="key", id="mine")) == []
    mine.see(message())
    assert mine.begin() == Resume(resume="key", count=8, id="mine")


def test_nothing_is_acknowledged_more_often_than_in_a_hundred_messages() -> None:
    mine = following()
    acknowledged = [mine.see(message()) for _ in range(250)]
    assert [each for each in acknowledged if each] == [
        [Acknowledge(to=TO, count=100)],
        [Acknowledge(to=TO, count=200)],
    ]
    assert mine.see(Missed(to=TO, count=1000)) == [Acknowledge(to=TO, count=1250)]
    mine.see(message())
    mine.see(Subscribed(to=TO, resume="key"))
    acknowledged = [mine.see(message()) for _ in range(100)]
    assert acknowledged[:-1] == [[]] * 99
    assert acknowledged[-1] == [Acknowledge(to=TO, count=1351)]


def test_what_is_for_others_is_passed_over() -> None:
    mine = following()
    for event in (
        message("b"),
        Missed(to="b", count=1),
        Ended(to="b"),
        Subscribed(to="b", resume="other", id="mine"),
        Pong(id="mine"),
        Refused(code="closed", reason="", id="mine"),
        None,
    ):
        assert mine.see(event) == []
    assert (mine.count, mine.ended) == (0, False)
    assert mine.begin() == Resume(resume="key", count=0, id="mine")


def test_who_is_refused_begins_anew() -> None:
    mine = following()
    mine.see(message())
    assert mine.restart() is REQUEST
    mine.see(Subscribed(to=TO, resume="another"))
    assert mine.count == 0
    assert mine.begin() == Resume(resume="another", count=0, id="mine")


def test_another_process_goes_on_where_an_earlier_one_was() -> None:
    mine = following()
    mine.see(Missed(to=TO, count=150))
    stored = write_request(mine.begin())
    again = Following(REQUEST, since=parse_begin(stored))
    assert again.begin() == mine.begin() == Resume(resume="key", count=150, id="mine")
    assert again.see(Subscribed(to=TO, resume="key", id="mine")) == []
    assert [again.see(message()) for _ in range(100)][-1] == [Acknowledge(to=TO, count=250)]
    assert again.missed == 0
    assert again.restart() is again.begin() is REQUEST


def test_who_goes_on_and_had_nothing_before_begins() -> None:
    stored = write_request(Following(REQUEST).begin())
    again = Following(REQUEST, since=parse_begin(stored))
    assert again.begin() is REQUEST
    assert again.count == 0


def test_without_keep_each_connection_begins_anew_and_nothing_is_acknowledged() -> None:
    request = Subscribe(patterns=("a",))
    mine = Following(request)
    mine.see(Subscribed(to="a", position="x.1"))
    assert all(mine.see(message("a")) == [] for _ in range(200))
    assert mine.begin() is request


def test_the_end_is_noted() -> None:
    mine = following()
    mine.see(Ended(to=TO))
    assert mine.ended
