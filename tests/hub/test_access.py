"""Who may do what, which pages may connect, and what happens when that changes."""

import re
from typing import Any

import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from driftline import Bus
from driftline.hub import Hub, Limits, Tokens, serve
from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Authenticated,
    Ping,
    Pong,
    Publish,
    Published,
    Refused,
    Resume,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from hubs import Client, client_of, hub_of, raw_client_of, until

SOON = Limits(recheck_seconds=0.01)
TOKENS = Tokens(
    {
        "reader": {"read": ["logs.>", "public"]},
        "writer": {"read": ["logs.web"], "publish": ["logs.>", "chat.*"]},
        None: {"read": ["public"]},
    }
)


async def is_refused(client: Client, request: Any) -> bool:
    answer = await client.ask(request)
    assert not isinstance(answer, Refused) or answer.code == "not-allowed"
    return isinstance(answer, Refused)


async def test_f10_what_a_token_does_not_allow_is_refused() -> None:
    bus = Bus()
    async with (
        hub_of(bus, authorize=TOKENS) as hub,
        client_of(hub) as nobody,
        client_of(hub, token="wrong") as stranger,
        client_of(hub, token="reader") as reader,
        client_of(hub, token="writer") as writer,
    ):
        for client in nobody, stranger:
            await client.subscribe("public")
            for pattern in ("logs.web", ">", "*", "$statistics"):
                assert await is_refused(client, Subscribe(patterns=(pattern,)))
            assert await is_refused(client, Subscribe(patterns=("public", "logs.web")))
            assert await is_refused(client, Publish(topic="public", value=1))
        for pattern in ("logs.*", "logs.>", "logs.a.*", "public"):
            await reader.subscribe(pattern)
        for pattern in ("logs", "*", ">", "*.web", "public.>"):
            assert await is_refused(reader, Subscribe(patterns=(pattern,)))
        assert await is_refused(reader, Publish(topic="logs.web", value=1))
        assert await writer.ask(Publish(topic="logs.a.b", value=1, id=1)) == Published(id=1)
        for topic in ("logs", "chat", "chat.a.b", "public"):
            assert await is_refused(writer, Publish(topic=topic, value=1))
        assert await is_refused(writer, Subscribe(patterns=("logs.*",)))
        assert {topic.name for topic in bus.topics()} == {"logs.a.b", "public"}


async def test_browsers_say_their_token_when_they_are_connected() -> None:
    async with hub_of(Bus(), authorize=TOKENS) as hub, client_of(hub) as client:
        assert await is_refused(client, Authenticate(token="wrong", id=1))
        assert await is_refused(client, Authenticate(token="\ud800"))
        assert await is_refused(client, Subscribe(patterns=("logs.web",)))
        assert await client.ask(Authenticate(token="reader", id=2)) == Authenticated(id=2)
        await client.subscribe("logs.web")
        assert await is_refused(client, Authenticate(token="wrong"))
        await client.subscribe("logs.*")  # it still is who it was


async def test_who_is_somebody_else_now_reads_what_that_one_may() -> None:
    bus = Bus()
    async with hub_of(bus, authorize=TOKENS) as hub, client_of(hub, token="reader") as client:
        await client.subscribe("logs.*", keep=60)
        await client.subscribe("logs.web")
        await client.say(Authenticate(token="writer"))
        assert await client.hear() == Authenticated()
        assert isinstance(await client.hear(), Refused)
        assert await client.hear() == Unsubscribed(to="logs.*")
        bus.publish("logs.web", 1)
        assert await client.values(1) == [1]
        assert await client.ask(Ping()) == Pong()


async def test_f10_what_may_be_read_no_more_is_dropped() -> None:
    allowed = {"a", "b", "plain"}

    async def authorize(token: str | None, action: str, name: str) -> bool:
        await anyio.lowlevel.checkpoint()
        return name in allowed

    bus = Bus()
    async with (
        hub_of(bus, authorize=authorize, limits=SOON) as hub,
        client_of(hub) as client,
        client_of(hub) as other,
        client_of(hub, "topic/plain") as plain,
    ):
        key = (await client.subscribe("a", keep=60)).resume or ""
        await client.subscribe("b")
        await other.subscribe("b")
        bus.publish("plain", "x")
        allowed.clear()
        allowed.add("b")
        error = await client.hear()
        assert isinstance(error, Refused)
        assert (error.code, error.reason) == ("not-allowed", "a may not be read any more")
        assert await client.hear() == Unsubscribed(to="a")
        bus.publish("a", "secret")
        bus.publish("b", "open")
        assert await client.values(1) == await other.values(1) == ["open"]
        assert (await client.ask(Resume(resume=key, count=0))).code == "lost"
        assert await plain.ending() == 1008


async def test_who_comes_back_is_asked_again() -> None:
    allowed = {"a"}
    bus = Bus()
    async with hub_of(bus, authorize=lambda token, action, name: name in allowed) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume or ""
        allowed.clear()
        bus.publish("a", 1)
        async with client_of(hub) as client:
            assert await is_refused(client, Resume(resume=key, count=0))
            allowed.add("a")  # its place is still there
            assert isinstance(await client.ask(Resume(resume=key, count=0)), Subscribed)
            assert await client.values(1) == [1]


async def test_what_is_over_before_its_client_has_been_judged_is_lost() -> None:
    judging, go_on = anyio.Event(), anyio.Event()
    judged = []

    async def authorize(token: str | None, action: str, name: str) -> bool:
        judged.append(name)
        if len(judged) == 2:
            judging.set()
            await go_on.wait()
        return True

    async with hub_of(Bus(), authorize=authorize) as hub, client_of(hub) as old:
        key = (await old.subscribe("a", keep=60)).resume or ""
        async with client_of(hub) as new:
            await new.say(Resume(resume=key, count=0))
            await judging.wait()
            assert await old.ask(Unsubscribe(to="a")) == Unsubscribed(to="a")
            go_on.set()
            error = await new.hear()
            assert isinstance(error, Refused)
            assert error.code == "lost"


async def test_a_client_that_leaves_while_it_is_judged_disturbs_nobody() -> None:
    entered, leave = anyio.Event(), anyio.Event()

    async def authorize(token: str | None, action: str, name: str) -> bool:
        if name == "slow":
            entered.set()
            await leave.wait()
        return True

    bus = Bus()
    async with hub_of(bus, authorize=authorize) as hub, client_of(hub) as other:
        async with client_of(hub) as client:
            await client.say(Subscribe(patterns=("slow",), keep=60))
            await entered.wait()
            client.abort()
        leave.set()
        await until(lambda: hub.connections == 1)
        assert await other.ask(Ping()) == Pong()


async def test_who_cannot_be_judged_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    bad = False

    def authorize(token: str | None, action: str, name: str) -> bool:
        if bad and name != "good":
            raise LookupError("no directory")
        return True

    bus = Bus()
    async with (
        hub_of(bus, authorize=authorize, limits=SOON) as hub,
        client_of(hub) as good,
        client_of(hub) as client,
        client_of(hub) as other,
        client_of(hub, "topic/plain") as plain,
    ):
        await good.subscribe("good")
        await other.subscribe("a")
        await until(lambda: hub.connections == 4 and len(bus.topics()) == 3)
        bad = True
        await client.say(Publish(topic="b", value=1))
        for each in client, other, plain:
            assert await each.ending() == 1011
        bus.publish("good", 1)
        assert await good.values(1) == [1]
    lines = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 3
    assert all("because of a fault here: LookupError('no directory')" in line for line in lines)


async def test_plain_topics_take_a_token_too() -> None:
    async with hub_of(Bus(replay=1), authorize=TOKENS) as hub:
        hub.bus.publish("logs.web", "x")
        for path, token in (
            ("topic/logs.web?replay=1&token=reader", None),
            ("topic/logs.web?replay=1", "reader"),
        ):
            async with client_of(hub, path, token=token) as client:
                assert await client.websocket.recv() == "x"
        for path in ("topic/logs.web", "topic/logs.web?token=wrong", "topic/logs?token=reader"):
            async with client_of(hub, path) as client:
                assert await client.ending() == 1008
                assert "may not be read" in client.websocket.close_reason


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:{port}",
        "http://127.0.0.1:1",
        "http://localhost:{port}",  # the request was sent to another name
        "null",
        "",
        "http://[",
        "127.0.0.1:{port}",
    ],
)
async def test_f9_a_page_of_a_foreign_origin_is_refused(origin: str) -> None:
    async with hub_of(Bus(), origins=["https://good.example"]) as hub:
        header = {"Origin": origin.format(port=hub.port)}
        with pytest.raises((InvalidStatus, BaseExceptionGroup)) as refused:
            async with client_of(hub, additional_headers=header):
                pass
        assert "403" in repr(refused.value.__dict__) + repr(refused.value)


async def test_f9_a_page_that_has_its_own_name_point_here_is_refused() -> None:
    """So a page looks like one of ours to who compares only origin and host."""
    async with hub_of(Bus()) as hub:
        headers = f"Origin: http://evil.example:{hub.port}\r\n"
        async with raw_client_of(
            hub, headers=headers, host=f"evil.example:{hub.port}", refused=b" 403 "
        ):
            pass


async def test_f9_own_pages_and_allowed_ones_and_programs_may_connect() -> None:
    async with hub_of(Bus(), origins=["https://good.example"]) as hub:
        own = hub.url.replace("ws", "http").rstrip("/")
        for header in ({"Origin": own}, {"Origin": "https://good.example"}, {}):
            async with client_of(hub, additional_headers=header) as client:
                assert await client.ask(Ping()) == Pong()
        local = f"localhost:{hub.port}"
        headers = f"Origin: http://{local}\r\n"
        async with raw_client_of(hub, headers=headers, host=local):
            pass
    async with (
        hub_of(Bus(), origins=["*"]) as hub,
        client_of(hub, additional_headers={"Origin": "http://any.example"}) as client,
    ):
        assert await client.ask(Ping()) == Pong()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", "Origin: http://a\r\nOrigin: http://b\r\n", b" 400 "),
        ("/", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", b" 400 "),
        ("/elsewhere", "", b" 404 "),
        ("//[", "", b" 404 "),
        ("/topic", "", b" 404 "),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    path: str, headers: str, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with hub_of(Bus()) as hub, raw_client_of(hub, path, headers, refused=status):
        pass
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("offer", ["", "driftline.v2", "driftline.v11, xdriftline.v1"])
async def test_who_does_not_ask_for_the_protocol_is_refused(offer: str) -> None:
    async with (
        hub_of(Bus()) as hub,
        raw_client_of(hub, offer=offer, refused=b" 400 "),
        raw_client_of(hub, offer=f"{offer or 'other'}, driftline.v1"),
    ):
        pass


async def get(hub: Hub, path: str) -> tuple[bytes, bytes]:
    """Return the head and the body of a page."""
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", hub.port) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        try:
            while True:
                answer += await stream.receive()
        except anyio.EndOfStream:
            head, _, body = answer.partition(b"\r\n\r\n")
            return head, body


async def test_there_are_two_pages() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub):
        head, body = await get(hub, "/")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/html" in head
        assert b"Content-Security-Policy: default-src 'none'" in head
        assert body.lstrip().lower().startswith(b"<!doctype html>")
        head, body = await get(hub, "/health?now")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b'{"status":"ok","connections":1}'
        bus.close()
        assert (await get(hub, "/health"))[0].startswith(b"HTTP/1.1 503 ")
        assert (await get(hub, "/else"))[0].startswith(b"HTTP/1.1 404 ")


async def test_what_a_lost_client_has_said_is_of_no_use_to_another() -> None:
    """There is nothing to guess: who has no key has no place."""
    async with hub_of(Bus()) as hub, client_of(hub) as client, client_of(hub) as other:
        keys = {(await client.subscribe(name, keep=60)).resume for name in "abc"}
        assert len(keys) == 3
        assert all(re.fullmatch(r"[\w-]{24}", key or "") for key in keys)
        await other.say(Acknowledge(to="a", count=0))
        assert (await other.ask(Resume(resume="a" * 24, count=0))).code == "lost"


TOKEN = st.sampled_from(["a", "b", "*"])
NAMES = ["a", "b", "c", "a.a", "a.b", "b.a", "b.c", "a.a.a", "a.b.c", "c.c.c"]


def patterns() -> st.SearchStrategy[str]:
    tokens = st.lists(TOKEN, max_size=3)
    end = st.sampled_from([[], [">"]])
    return st.builds(lambda a, b: ".".join(a + b), tokens, end).filter(bool)


@given(patterns(), patterns())
def test_who_may_read_a_pattern_may_read_all_that_it_matches(granted: str, asked: str) -> None:
    def matched(pattern: str) -> set[str]:
        bus = Bus()
        with bus.subscribe(pattern) as subscription:
            for name in NAMES:
                bus.publish(name, name)
            return {subscription.receive_nowait() for _ in range(subscription.lag)}

    tokens = Tokens({None: {"read": [granted]}})
    if tokens(None, "read", asked):
        assert matched(asked) <= matched(granted)
        assert not tokens(None, "publish", asked)
    for name in NAMES:
        assert tokens(None, "read", name) == (name in matched(granted))
    if asked == granted:
        assert tokens(None, "read", asked)


def test_a_token_is_compared_as_a_whole() -> None:
    tokens = Tokens({"a?": {"read": [">"]}, None: {}})
    assert tokens("a?", "read", "x")
    assert tokens.knows("a?")
    for wrong in ("a", "a?b", "A?", "", "a\ud800"):
        assert not tokens(wrong, "read", "x")
        assert not tokens.knows(wrong)


@pytest.mark.parametrize(
    ("grant", "error", "words"),
    [
        ({"read": "public.>"}, TypeError, "'read' takes a list of patterns, such as ['public.>']"),
        ({"publish": "chat.*"}, TypeError, "'publish' takes a list"),
        ({"read": ["public.>.x"]}, ValueError, "> can only be the last token"),
        ({"reads": ["public.>"]}, ValueError, "not 'reads'"),
        (["public.>"], TypeError, "is a dict such as"),
    ],
)
def test_a_grant_that_does_not_say_what_was_meant_is_refused(
    grant: Any, error: type[Exception], words: str
) -> None:
    """Text would be a list of letters, of which ">" allows everything."""
    with pytest.raises(error, match=re.escape(words)):
        Tokens({"guest": grant})


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"authorize": {"guest": {}}}, TypeError, "authorize takes a function, or Tokens"),
        ({"limits": {"lag": 5}}, TypeError, "serve takes a Limits"),
        ({"bus": "a bus"}, TypeError, "serve takes a Bus"),
        ({"origins": "https://example.org"}, TypeError, "origins is a list"),
        ({"origins": ["example.org"]}, ValueError, 'an origin is "https://"'),
        ({"origins": ["https://example.org/"]}, ValueError, 'an origin is "https://"'),
    ],
)
async def test_an_argument_that_makes_no_sense_is_refused_before_anybody_connects(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        async with serve(**{"bus": Bus(), "port": 0, **arguments}):
            raise AssertionError("it serves")


@pytest.mark.parametrize("patterns", [("a.*",), ("a", "b")])
async def test_since_is_for_a_single_name(patterns: tuple[str, ...]) -> None:
    async with hub_of(Bus(replay=1)) as hub, client_of(hub) as client:
        refused = await client.ask(Subscribe(patterns=patterns, since="kWq0tTzN.42", id=1))
        assert isinstance(refused, Refused)
        assert (refused.code, refused.id) == ("bad-request", 1)
        assert "since is for a single name" in refused.reason


async def test_wrong_tokens_are_counted_like_bad_requests() -> None:
    """So that nobody can guess for long."""
    async with (
        hub_of(Bus(), authorize=TOKENS, limits=Limits(errors=3)) as hub,
        client_of(hub) as client,
    ):
        for number in range(3):
            await client.say(Authenticate(token=f"guess {number}"))
        assert await client.ending() == 1008


def test_what_is_the_hubs_own_is_covered_by_everything_and_by_its_name_only() -> None:
    for pattern, allowed in (("*", False), ("*.>", False), (">", True), ("$statistics", True)):
        assert Tokens({None: {"read": [pattern]}})(None, "read", "$statistics") is allowed
