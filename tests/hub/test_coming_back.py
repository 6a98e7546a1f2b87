"""Whoever counts gets every message once, or is told, however often the connection is lost."""

import random
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed

from driftline import Bus
from driftline.hub import Hub, Limits, Tokens
from driftline.protocol import (
    Acknowledge,
    Delivered,
    Ended,
    Following,
    Missed,
    Refused,
    Resume,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    parse_event,
)
from hubs import Client, client_of, hub_of, until

LARGE = "x" * 20_000


class Account:
    """What a client got of numbers that were published one after the other.

    Args:
        request: what it subscribes to.
        first: the number that it is to get first.
    """

    def __init__(self, request: Subscribe, first: int = 0) -> None:
        self.following = Following(request)
        self.next = first
        self.lost = 0
        self.told = 0

    async def hear(self, client: Client) -> None:
        """Hear one thing, note it, and acknowledge what is to be acknowledged."""
        event = parse_event(await client.websocket.recv())
        acknowledgements = self.following.see(event)
        match event:
            case Delivered():
                assert event.value[0] == self.next
                self.next += 1
            case Missed():
                self.next += event.count
                self.told += event.count
            case Subscribed():
                pass
            case _:
                raise AssertionError(event)
        for request in acknowledgements:
            await client.say(request)


class Numbers:
    """Publishes numbers, on several topics, one after the other."""

    def __init__(self, bus: Bus, dice: random.Random, topics: list[str]) -> None:
        self.published = 0
        self._bus, self._dice, self._topics = bus, dice, topics

    def publish(self, count: int) -> None:
        """Publish the next so many, some of them in large messages."""
        for _ in range(count):
            beside = LARGE if self._dice.random() < 0.02 else ""
            self._bus.publish(self._dice.choice(self._topics), [self.published, beside])
            self.published += 1


async def lose_and_resume(
    hub: Hub, account: Account, numbers: Numbers, dice: random.Random, *, times: int
) -> None:
    """Lose the connection so often, at moments of all kinds."""
    for _ in range(times):
        if numbers.published < account.next + 100:
            numbers.publish(dice.randrange(10))
        async with client_of(hub) as client, anyio.create_task_group() as tasks:
            await client.say(account.following.begin())
            moment = dice.choice(["while it hears", "at once", "soon", "in the usual way"])
            if moment == "while it hears":
                tasks.start_soon(_abort_later, client, dice.randrange(50))
            with suppress(ConnectionClosed):
                for _ in range(dice.choice([0, 1, 1, 2, 3, 10, 60])):
                    numbers.publish(dice.randrange(3) or account.next == numbers.published)
                    await account.hear(client)
                if dice.random() < 0.3:
                    count = account.following.count
                    await client.say(Acknowledge(to=account.following.to, count=count))
                if moment == "soon":  # after the hub has read what was said last, perhaps
                    await anyio.lowlevel.checkpoint()
            if moment != "in the usual way":
                client.abort()
            tasks.cancel_scope.cancel()


async def _abort_later(client: Client, turns: int) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    client.abort()


CASES: dict[str, tuple[dict[str, Any], list[str], dict[str, Any]]] = {
    "name": ({}, ["a"], {"patterns": ("a",)}),
    "patterns": ({}, ["a.b", "a.c", "d"], {"patterns": ("a.*", "d"), "replay": 20}),
    "limit": ({"limit": 40}, ["a"], {"patterns": ("a",)}),
    "limit of patterns": ({"limit": 40}, ["a", "b"], {"patterns": (">",), "replay": 20}),
    "lag": ({}, ["a"], {"patterns": ("a",), "max_lag": 30}),
    "latest": ({"limit": 40}, ["a", "b"], {"patterns": (">",), "on_lag": "latest"}),
}


async def loses_nothing(case: str, seed: int, times: int) -> None:
    settings, topics, fields = CASES[case]
    dice = random.Random(seed)
    first = 20 if "replay" in fields else 0
    bus = Bus(replay=20, **settings)
    numbers = Numbers(bus, dice, topics)
    numbers.publish(2 * first)
    account = Account(Subscribe(keep=60, **fields), first)
    hub_options: dict[str, Any] = {"limits": Limits(rate=1e6, burst=1000)}
    async with hub_of(bus, hangs=60 + times, **hub_options) as hub:
        async with client_of(hub) as client:
            await client.say(account.following.begin())
            await account.hear(client)
        await lose_and_resume(hub, account, numbers, dice, times=times)
        async with client_of(hub) as client:
            await client.say(account.following.begin())
            while account.next < numbers.published:
                await account.hear(client)
        assert account.next == numbers.published
        assert account.following.missed == account.told
        assert settings or "max_lag" in fields or not account.told


@pytest.mark.once
@pytest.mark.parametrize("case", CASES)
async def test_f12_every_message_comes_once_or_is_told_of(case: str) -> None:
    await loses_nothing(case, seed=1, times=20)


@pytest.mark.once
@pytest.mark.parametrize("case", CASES)
async def test_f12_of_a_thousand_lost_connections_none_loses_anything(case: str) -> None:
    """Over all cases, on asyncio, uvloop and trio together."""
    await loses_nothing(case, seed=2, times=1000 // len(CASES) // 3 + 1)


def behind(bus: Bus) -> dict[str, int]:
    """Return how many messages are kept for whom."""
    return {str(each.name): each.lag for each in bus.subscriptions() if each.name != "fan-out"}


async def resume(client: Client, key: str | None, count: int) -> Any:
    assert key is not None
    return await client.ask(Resume(resume=key, count=count, id="again"))


async def test_what_is_acknowledged_is_let_go_of_and_the_rest_is_kept() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", name="me", keep=60)).resume
            bus.topic("a").publish_many(range(10))
            await client.values(10)
            await client.say(Acknowledge(to="a", count=4))
            await client.say(Acknowledge(to="a", count=3))
            await client.say(Acknowledge(to="other", count=3))
            await until(lambda: behind(bus) == {"me": 0, "me, not acknowledged": 6})
            client.abort()
        await until(lambda: behind(bus) == {"me, not acknowledged": 6})
        async with client_of(hub) as client:
            answer = await resume(client, key, 7)
            assert (answer.to, answer.resume, answer.id) == ("a", key, "again")
            assert answer.position.endswith(".7")
            assert await client.values(3) == [7, 8, 9]
            assert behind(bus) == {"me": 0, "me, not acknowledged": 3}


async def test_an_answer_that_was_lost_does_no_harm() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
            bus.topic("a").publish_many(range(10))
            assert await client.values(2) == [0, 1]
        for _ in range(3):
            async with client_of(hub) as client:
                await client.say(Resume(resume=key or "", count=2))
                client.abort()
        async with client_of(hub) as client:
            await resume(client, key, 2)
            assert await client.values(8) == [*range(2, 10)]


async def test_who_comes_back_before_its_old_connection_is_gone_takes_over() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as old, client_of(hub) as new:
        key = (await old.subscribe("a", keep=60)).resume
        bus.topic("a").publish_many(range(3))
        await old.values(3)
        await resume(new, key, 1)
        assert await new.values(2) == [1, 2]
        assert await old.hear() == Unsubscribed(to="a")
        assert (await old.ask(Unsubscribe(to="a"))).code == "bad-request"
        bus.publish("a", 3)
        assert await new.values(1) == [3]
        await resume(old, key, 4)  # and back
        assert await new.hear() == Unsubscribed(to="a")
        new.abort()
        bus.publish("a", 4)
        assert await old.values(1) == [4]
        old.abort()
        await until(lambda: hub.connections == 0)
        async with client_of(hub) as client:
            await resume(client, key, 4)
            assert await client.values(1) == [4]


async def test_a_client_cannot_resume_what_it_has() -> None:
    async with hub_of(Bus()) as hub, client_of(hub) as client:
        key = (await client.subscribe("a", keep=60)).resume
        error = await resume(client, key, 0)
        assert (error.code, error.id) == ("bad-request", "again")
        await client.ask(Unsubscribe(to="a"))
        assert (await resume(client, key, 0)).code == "lost"


async def test_who_has_had_more_than_was_sent_is_refused_and_loses_nothing() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
            bus.topic("a").publish_many(range(3))
            await client.values(3)
            assert (await client.ask(Acknowledge(to="a", count=4))).code == "bad-request"
        await until(lambda: hub.connections == 0)
        bus.publish("a", 3)
        async with client_of(hub) as client:
            assert (await resume(client, key, 4)).code == "bad-request"
            await resume(client, key, 3)
            assert await client.values(1) == [3]


async def test_who_has_acknowledged_more_than_it_says_is_told() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
            bus.topic("a").publish_many(range(5))
            await client.values(5)
            await client.say(Acknowledge(to="a", count=4))
        async with client_of(hub) as client:
            await resume(client, key, 1)
            assert await client.hear() == Missed(to="a", count=3)
            assert await client.values(1) == [4]


async def test_what_a_limit_has_cut_off_meanwhile_is_told() -> None:
    bus = Bus(limit=3)
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
            bus.publish("a", 0)
            await client.values(1)
        bus.topic("a").publish_many(range(1, 10))
        for _ in range(2):
            async with client_of(hub) as client:
                await resume(client, key, 1)
                assert await client.hear() == Missed(to="a", count=6)
                assert await client.values(3) == [7, 8, 9]


async def test_who_never_acknowledges_is_kept_no_more_than_it_may_be_behind() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            answer = await client.subscribe("a", name="me", keep=60, max_lag=5)
            for number in range(20):
                bus.publish("a", number)
                await client.values(1)
            assert behind(bus)["me, not acknowledged"] == 20
            await until(lambda: behind(bus)["me, not acknowledged"] == 5)
        bus.topic("a").publish_many(range(20, 30))
        await until(lambda: behind(bus) == {"me, not acknowledged": 5})
        async with client_of(hub) as client:
            await resume(client, answer.resume, 10)
            assert await client.hear() == Missed(to="a", count=15)
            assert await client.values(5) == [*range(25, 30)]


async def test_who_was_too_slow_does_not_come_back_to_where_it_was() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            answer = await client.subscribe("a", keep=60, max_lag=5, on_lag="close")
        await until(lambda: hub.connections == 0)
        bus.topic("a").publish_many(range(10))
        async with client_of(hub) as client:
            await resume(client, answer.resume, 0)
            assert await client.ending() == 1013
        async with client_of(hub) as client:
            assert (await resume(client, answer.resume, 0)).code == "lost"
            await client.subscribe("a", keep=60)


async def test_who_has_not_heard_that_it_has_ended_can_come_back_for_it() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
            bus.topic("a").publish_many(range(3))
            await client.values(1)
            client.abort()
        bus.topic("a").close()
        bus.publish("a", "of the next topic")
        for _ in range(2):
            async with client_of(hub) as client:
                await resume(client, key, 1)
                assert await client.values(2) == [1, 2]
                assert await client.hear() == Ended(to="a")


async def test_a_place_is_kept_for_as_long_as_was_asked_for() -> None:
    bus = Bus()
    async with hub_of(bus) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=0.1)).resume
            bus.publish("a", 1)
        await until(lambda: not behind(bus))
        async with client_of(hub) as client:
            assert (await resume(client, key, 0)).code == "lost"


async def test_of_too_many_places_the_oldest_are_forgotten() -> None:
    bus = Bus()
    keys = []
    async with hub_of(bus, limits=Limits(places=2)) as hub:
        for _ in range(3):
            async with client_of(hub) as client:
                keys.append((await client.subscribe("a", keep=60)).resume)
            await until(lambda: hub.connections == 0)
        assert len(behind(bus)) == 2
        async with client_of(hub) as client:
            assert isinstance(await resume(client, keys[0], 0), Refused)
            assert isinstance(await resume(client, keys[1], 0), Subscribed)


async def test_who_loses_many_places_has_its_own_forgotten() -> None:
    bus = Bus()
    authorize = Tokens({token: {"read": ["a"]} for token in ("few", "many")})
    async with hub_of(bus, limits=Limits(places=2), authorize=authorize) as hub:

        async def lose(token: str) -> str | None:
            async with client_of(hub, token=token) as client:
                key = (await client.subscribe("a", keep=60)).resume
            await until(lambda: hub.connections == 0)
            return key

        key = await lose("few")
        for _ in range(3):
            await lose("many")
        async with client_of(hub, token="few") as client:
            assert isinstance(await resume(client, key, 0), Subscribed)


async def test_who_comes_back_has_a_cap_like_all_others() -> None:
    bus = Bus()
    async with hub_of(bus, limits=Limits(subscriptions=1)) as hub:
        async with client_of(hub) as client:
            key = (await client.subscribe("a", keep=60)).resume
        async with client_of(hub) as client:
            await client.subscribe("b")
            assert (await resume(client, key, 0)).code == "too-many"
            await client.ask(Unsubscribe(to="b"))
            await resume(client, key, 0)


async def test_without_keep_nothing_is_kept() -> None:
    bus = Bus()
    async with hub_of(bus) as hub, client_of(hub) as client:
        answer = await client.subscribe("a", name="me")
        assert answer.resume is None
        bus.publish("a", 1)
        await client.values(1)
        await client.say(Acknowledge(to="a", count=1))  # which does no harm
        assert (await client.ask(Acknowledge(to="a", count=2))).code == "bad-request"
        client.abort()
        await until(lambda: not behind(bus))
