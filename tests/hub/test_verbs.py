"""What a client can say to a running hub, and what it is answered."""

import json
from typing import Any

import pytest

import driftline.websockets
from driftline import Bus
from driftline.hub import Limits
from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Authenticated,
    Delivered,
    Ended,
    Missed,
    Ping,
    Pong,
    ProtocolError,
    Publish,
    Published,
    Refused,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    parse_request,
)
from hubs import client_of, hub_of, said, until


async def test_messages_come_to_who_has_subscribed_with_topic_number_and_time() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        answer = await client.subscribe("logs.*", "alerts.>", "logs.*", id=1)
        assert answer == Subscribed(to="alerts.> logs.*", id=1)
        bus.publish("logs.web", "GET /")
        bus.publish("else", "nothing")
        bus.publish("alerts.a.b", {"at": [1, None]})
        bus.publish("logs.web", b"\xff")
        first, second, third = [await client.hear() for _ in range(3)]
        assert isinstance(first, Delivered)
        assert first.at == pytest.approx(bus.statistics().taken_at, abs=10)
        assert (first.to, first.topic, first.seq) == ("alerts.> logs.*", "logs.web", 1)
        assert isinstance(second, Delivered)
        assert (second.topic, second.seq, second.value) == ("alerts.a.b", 1, {"at": [1, None]})
        assert isinstance(third, Delivered)
        assert (third.topic, third.seq, third.value) == ("logs.web", 2, b"\xff")


async def test_what_a_client_publishes_comes_to_the_bus_and_to_other_clients() -> None:
    bus = Bus()
    here = bus.subscribe("chat.tea")
    async with hub_of(bus) as hub, client_of(hub) as ada, client_of(hub) as bob:
        await bob.subscribe("chat.>")
        assert await ada.ask(Publish(topic="chat.tea", value=[1], id="a")) == Published(id="a")
        await ada.say(Publish(topic="chat.tea", value=b"two"))
        assert await ada.ask(Publish(topic="chat.tea", value=None, id=3)) == Published(id=3)
        assert await bob.values(3) == [[1], b"two", None]
        assert [await here.receive() for _ in range(3)] == [[1], b"two", None]


async def test_a_topic_that_a_client_publishes_to_can_be_kept() -> None:
    bus = Bus(replay=5)
    async with hub_of(bus, keep=True) as hub, client_of(hub) as client:
        await client.ask(Publish(topic="a", value=1, id=1))
        for number in range(1001):
            bus.publish(f"other.{number}", None)  # which the bus holds instead of it
        await client.subscribe("a", replay=1)
        assert await client.values(1) == [1]


async def test_replay_begins_with_what_there_is() -> None:
    bus = Bus(replay=3)
    for number in range(5):
        bus.publish("a", number)
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a", replay=2)
        assert await client.values(2) == [3, 4]
        await client.subscribe(">", replay=100)
        assert await client.values(3) == [2, 3, 4]
        bus.publish("a", 5)
        assert await client.values(2) == [5, 5]


async def test_who_says_since_when_goes_on_from_there() -> None:
    bus = Bus(replay=3)
    async with hub_of(bus) as hub, client_of(hub) as client:
        first = await client.subscribe("a")
        assert first.position is not None
        epoch = first.position.partition(".")[0]
        for number in range(1, 6):
            bus.publish("a", number)
        await client.values(5)
        await client.ask(Unsubscribe(to="a"))
        await client.subscribe("a", since=f"{epoch}.3")
        assert await client.values(2) == [4, 5]
        await client.ask(Unsubscribe(to="a"))
        lost = await client.ask(Subscribe(patterns=("a",), since=f"{epoch}.1", id=2))
        assert (lost.code, lost.missed, lost.id) == ("lost", 1, 2)
        other = await client.ask(Subscribe(patterns=("a",), since="AAAAAAAA.1", id=3))
        assert (other.code, other.missed, other.id) == ("lost", None, 3)
        wrong = await client.ask(Subscribe(patterns=("a",), since="yesterday"))
        assert wrong.code == "bad-request"


async def test_after_unsubscribed_nothing_more_comes() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a")
        await client.subscribe("b")
        for number in range(1000):
            bus.publish("a", number)
        await client.say(Unsubscribe(to="a", id=3))
        while (event := await client.hear()) != Unsubscribed(to="a", id=3):
            assert isinstance(event, Delivered)
        bus.publish("a", "late")
        bus.publish("b", "last")
        assert await client.values(1) == ["last"]
        await client.subscribe("a")
        bus.publish("a", "again")
        assert await client.values(1) == ["again"]
        assert len([each for each in bus.subscriptions() if each.name != "fan-out"]) == 2


async def test_a_topic_that_is_closed_has_ended() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a")
        bus.publish("a", "last")
        bus.topic("a").close(OSError("no more"))
        assert await client.values(1) == ["last"]
        assert await client.hear() == Ended(to="a")
        await client.say(Acknowledge(to="a", count=1))  # on its way when it ended
        await client.subscribe("a")
        bus.publish("a", "anew")
        assert await client.values(1) == ["anew"]


async def test_a_bus_that_is_closed_has_ended_for_all() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as one, client_of(hub) as other:
        await one.subscribe("a", keep=10)
        await other.subscribe(">")
        bus.publish("a", "last")
        bus.close()
        assert await one.values(1) == await other.values(1) == ["last"]
        assert await one.hear() == Ended(to="a")
        assert await other.hear() == Ended(to=">")
        for said_ in (Publish(topic="a", value=1), Subscribe(patterns=("a",))):
            assert (await one.ask(said_)).code == "closed"
        assert (await one.ask(Subscribe(patterns=("a",), keep=10, id=1))).id == 1
        assert hub.health()["status"] == "closed"
        assert await one.ask(Ping(id=2)) == Pong(id=2)


async def test_a_subscription_that_is_closed_in_the_process_is_over() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a", name="mine", keep=10)
        for each in bus.subscriptions():
            if each.name != "fan-out":
                each.close()
        assert await client.hear() == Unsubscribed(to="a")
        await client.subscribe("a")


async def test_who_falls_behind_is_told_where_that_happened() -> None:
    bus = Bus(limit=10, replay=10)
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a", max_lag=4)
        bus.topic("a").publish_many(range(20))
        events = [await client.hear()]
        while not isinstance(events[-1], Delivered) or events[-1].value != 19:
            events.append(await client.hear())
        missed = [event for event in events if isinstance(event, Missed)]
        assert [event.to for event in missed] == ["a"] * len(missed)
        assert sum(event.count for event in missed) + len(events) - len(missed) == 20


async def test_names_begin_with_the_address_of_the_client_or_are_what_it_says() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("a", name="mine")
        await client.subscribe("b")
        names = {each.name for each in bus.subscriptions()} - {"fan-out"}
        address = client.websocket.local_address
        assert names == {"mine", f"127.0.0.1:{address[1]}"}


async def test_one_frame_is_made_for_all_who_read_the_same() -> None:
    class Value:
        asked = 0

        def __repr__(self) -> str:
            Value.asked += 1
            return "a value"

    bus = Bus()
    async with (
        hub_of(bus) as hub,
        client_of(hub) as one,
        client_of(hub) as two,
        client_of(hub) as three,
    ):
        await one.subscribe("a.*")
        await two.subscribe("a.*", name="another")
        await three.subscribe("a.*", keep=10)
        await three.subscribe("a.b")
        on_asyncio = driftline.websockets.statistics()
        bus.publish("a.b", Value())
        assert await one.values(1) == await two.values(1) == ["a value"]
        assert await three.values(2) == ["a value"] * 2
        # On trio, each client is written to by itself.
        assert Value.asked == 2 if on_asyncio else 4


async def test_pings_are_answered_behind_what_was_sent_before() -> None:
    async with hub_of(Bus()) as hub, client_of(hub) as client:
        await client.say(Ping())
        await client.say(Subscribe(patterns=("a",), id="two"))
        await client.say(Ping(id=3))
        assert await client.hear() == Pong()
        assert isinstance(await client.hear(), Subscribed)
        assert await client.hear() == Pong(id=3)


async def test_anybody_may_say_a_token_where_none_is_asked_for() -> None:
    async with hub_of(Bus()) as hub, client_of(hub) as client:
        for number in (1, 2):
            answer = await client.ask(Authenticate(token="any", id=number))
            assert answer == Authenticated(id=number)


async def test_statistics_are_published_while_somebody_reads_them() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client, client_of(hub) as other:
        await other.subscribe("a.*", name="slow", max_lag=7)
        await client.subscribe("$statistics")
        bus.publish("a.b", 1)
        first = (await client.values(1))[0]
        assert first["connections"] == 2
        assert first["published_rate"] is None
        bus.publish("a.b", 1)
        second = (await client.values(1))[0]
        assert second["published"] == 2
        assert second["published_rate"] == pytest.approx(1 / (second["at"] - first["at"]), rel=0.5)
        assert [topic["name"] for topic in second["topics"]] == ["a.b"]
        assert second["subscriptions"] == 1
        (row,) = second["readers"]
        assert (row["name"], row["topic"], row["max_lag"]) == ("slow", "a.*", 7)
        assert (row["on_lag"], row["lag"]) == ("skip", 0)


async def test_names_of_the_hub_are_for_nobody_else() -> None:
    async with hub_of(Bus()) as hub, client_of(hub) as client:
        assert (await client.ask(Publish(topic="$statistics", value=1))).code == "not-allowed"
        for patterns in (("$other",), ("$statistics", "a"), ("$*",)):
            assert (await client.ask(Subscribe(patterns=patterns))).code == "bad-request"
        await client.subscribe(">")
        await client.subscribe("$statistics")
        events = [await client.hear() for _ in range(2)]
        assert {event.to for event in events if isinstance(event, Delivered)} == {"$statistics"}


BAD = [
    said(type="subscribe", patterns=["a..b"], id=1),
    said(type="subscribe", patterns=["a.>.b"], id=1),
    said(type="subscribe", patterns=[""], id=1),
    said(type="subscribe", patterns=["\ud800"], id=1),
    said(type="subscribe", patterns=["a"], replay=100_001, id=1),
    said(type="subscribe", patterns=["a"], replay=1, since="AAAAAAAA.1", id=1),
    said(type="subscribe", patterns=["a"], max_lag_bytes=1, id=1),
    said(type="subscribe", patterns=["there"], id=1),
    said(type="subscribe", patterns=["a"], name="fan-out", id=1),
    said(type="acknowledge", to="there", count=1, id=1),
    said(type="unsubscribe", to="not there", id=1),
    said(type="publish", topic="a b", value=1, id=1),
    said(type="publish", topic="*", value=1, id=1),
    said(type="publish", topic="a" * 300, value=1, id=1),
    said(type="nothing", id=1),
    said(type="ping", id=1, more=2),
]


@pytest.mark.parametrize("frame", BAD)
async def test_what_is_wrong_is_answered_and_the_connection_goes_on(frame: str) -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        await client.subscribe("there", keep=10)
        error = await client.ask(frame)
        assert isinstance(error, Refused)
        assert (error.code, error.id) == ("bad-request", 1)
        assert 5 < len(error.reason) < 300
        bus.publish("there", "still")
        assert await client.values(1) == ["still"]


async def test_with_the_tenth_bad_request_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "driftline.hub")
    async with hub_of(Bus(max_topics=1)) as hub, client_of(hub) as client:
        for _ in range(20):  # which are no bad requests
            assert (await client.ask(said(type="resume", resume="a", count=1))).code == "lost"
        for number in range(9):
            assert (await client.ask(said(type="nothing", id=number))).id == number
        await client.say(said(type="nothing"))
        await client.say(Publish(topic="a", value="after the end"))
        assert await client.ending() == 1008
        assert client.websocket.close_reason == "10 bad requests"
        assert hub.bus.topics() == ()
    (line,) = [record.message for record in caplog.records if record.name == "driftline.hub"]
    assert line.endswith("is cut off: 10 bad requests")


@pytest.mark.parametrize("frame", ["hello", "[]", '{"type": 1}', b"", b"\x00\x00\x00\x09{}"])
async def test_what_is_no_json_ends_the_connection(frame: Any) -> None:
    async with hub_of(Bus()) as hub, client_of(hub) as other, client_of(hub) as client:
        error = await client.ask(frame)
        assert error.code == "not-json"
        assert await client.ending() == 1007
        assert await other.ask(Ping()) == Pong()


async def test_there_are_as_many_topics_as_there_may_be() -> None:
    async with hub_of(Bus(max_topics=2)) as hub, client_of(hub) as client:
        await client.subscribe("a")
        await client.subscribe("b")
        for request in (Subscribe(patterns=("c",), id=1), Publish(topic="c", value=1, id=1)):
            error = await client.ask(request)
            assert (error.code, error.id) == ("too-many", 1)


async def test_a_replay_is_bounded_by_the_hub() -> None:
    async with hub_of(Bus(replay=9), limits=Limits(replay=5)) as hub, client_of(hub) as client:
        assert "at most 5" in (await client.ask(Subscribe(patterns=("a",), replay=6))).reason
        await client.subscribe("a", replay=5)


async def test_lag_is_bounded_by_the_hub() -> None:
    bus = Bus(replay=9)
    limits = Limits(lag=50, lag_seconds=30)
    async with hub_of(bus, limits=limits) as hub, client_of(hub) as client:
        await client.subscribe("a", max_lag=1000, max_lag_seconds=40)
        await client.subscribe("b", max_lag=5, max_lag_seconds=3.5)
        await client.subscribe("c", replay=9, keep=100)
        await client.subscribe("d", keep=100)
        lags = {
            each.topic.name: (each.max_lag, each.max_lag_seconds)
            for each in bus.subscriptions()
            if each.name != "fan-out" and "not acknowledged" not in str(each.name)
        }
        assert lags == {"a": (50, 30.0), "b": (5, 3.5), "c": (59, None), "d": (50, 130.0)}


@pytest.mark.parametrize("value", [{1, 2}, object(), [float("nan")], {(1,): 1}], ids=repr)
async def test_a_value_that_json_has_no_form_for_is_sent_in_words(value: Any) -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client, client_of(hub, "topic/a") as plain:
        await client.subscribe("a")
        await until(lambda: sum(each.name != "fan-out" for each in bus.subscriptions()) == 2)
        bus.publish("a", value)
        bus.publish("a", "and on")
        assert await client.values(2) == [repr(value), "and on"]
        assert json.loads(await plain.websocket.recv()) == repr(value)
        assert await plain.websocket.recv() == "and on"


async def test_a_plain_topic_is_its_messages_and_nothing_else() -> None:
    bus = Bus(replay=10)
    bus.publish("caf\u00e9", "before")
    bus.publish("caf\u00e9", "just before")
    path = "topic/caf%C3%A9?replay=1&on_lag=close&name=mine&max_lag_seconds=1.5"
    async with hub_of(bus) as hub, client_of(hub, path) as client:
        assert await client.websocket.recv() == "just before"
        (mine,) = [each for each in bus.subscriptions() if each.name == "mine"]
        assert mine.on_lag == "close"
        for value in ("text", b"bytes", {"a": [1.5, None]}, "\ud800", 17, bytearray(b"x")):
            bus.publish("caf\u00e9", value)
        await client.say("what it says is passed over")
        got = [await client.websocket.recv() for _ in range(6)]
        assert got == ["text", b"bytes", '{"a":[1.5,null]}', "?", "17", b"x"]
        bus.topic("caf\u00e9").close(OSError())
        assert await client.ending() == 1000


@pytest.mark.parametrize(
    "path",
    [
        "topic/",
        "topic/a..b",
        "topic/*",
        "topic/a.%3E",
        "topic/$other",
        "topic/a?replay=ten",
        "topic/a?replay=1.5",
        "topic/a?replay=-1",
        "topic/a?replay=99999999999999999999",
        "topic/a?keep=10",
        "topic/a?type=ping",
        "topic/a?patterns=b",
        "topic/a?id=1",
        "topic/a?on_lag=raise",
        "topic/a?since=AAAAAAAA.1",
        "topic/a?replay=1&since=AAAAAAAA.1",
        f"topic/a?name={'a' * 101}",
    ],
)
async def test_a_plain_topic_that_cannot_be_had_is_refused_with_a_reason(path: str) -> None:
    async with hub_of(Bus(replay=5)) as hub, client_of(hub, path) as client:
        assert await client.ending() == 1008
        assert len(client.websocket.close_reason) > 5


async def test_a_plain_client_that_is_lost_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub, "topic/a") as client:
        await until(lambda: bool(bus.subscriptions()))
        client.abort()
        await until(lambda: hub.connections == 0)
        assert not bus.subscriptions()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_two_hubs_have_one_bus() -> None:
    bus = Bus()
    async with (
        hub_of(bus) as one,
        hub_of(bus) as other,
        client_of(one) as ada,
        client_of(other) as bob,
    ):
        await ada.subscribe("a.*")
        await bob.say(Publish(topic="a.b", value=1))
        assert await ada.values(1) == [1]


def test_the_page_names_every_request_and_every_code() -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_request(said(type="help"))
    named = refused.value.reason.partition("there are ")[2]
    assert named == "subscribe, resume, acknowledge, unsubscribe, publish, authenticate, ping"
