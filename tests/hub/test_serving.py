"""How a hub begins and ends, and what goes on meanwhile."""

import random
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed

from driftline import Bus
from driftline.hub import Limits, serve
from driftline.protocol import (
    Acknowledge,
    Authenticate,
    Ping,
    Pong,
    Publish,
    Resume,
    Subscribe,
    Subscribed,
    Unsubscribe,
    parse_event,
    write_request,
)
from hubs import Client, client_of, hub_of, raw_client_of, until
from loopback import TEXT, frame

LARGE = "x" * 64 * 1024
CERTIFICATE = Path(__file__).parents[1] / "websockets" / "localhost.pem"
SOON = 5  # seconds, which are less than any patience here


async def test_a_port_that_is_in_use_is_an_error_of_the_system() -> None:
    async with hub_of(Bus()) as hub:
        with pytest.raises(OSError, match=f"127.0.0.1.*{hub.port}"):
            async with serve(Bus(), port=hub.port):
                raise AssertionError


class Running:
    """A hub that runs until it is told to end, while its clients stay."""

    def __init__(self, bus: Bus, **options: Any) -> None:
        self.bus = bus
        self.ended = anyio.Event()
        self.error: BaseException | None = None
        self.scope = anyio.CancelScope()
        self._options = options
        self._end = anyio.Event()
        self._raises: Exception | None = None

    async def __call__(self, *, task_status: Any) -> None:
        """Run it."""
        with self.scope:
            try:
                async with serve(self.bus, port=0, **self._options) as hub:
                    task_status.started(hub)
                    await self._end.wait()
                    if self._raises is not None:
                        raise self._raises
            except Exception as error:
                self.error = error
        self.ended.set()

    async def end(self, error: Exception | None = None) -> float:
        """Have it end, perhaps with an error, and return the seconds that that took."""
        begin = anyio.current_time()
        self._raises = error
        self._end.set()
        await self.ended.wait()
        return anyio.current_time() - begin


async def test_what_is_raised_while_it_serves_is_raised_as_it_is() -> None:
    running = Running(Bus())
    async with anyio.create_task_group() as tasks:
        hub = await tasks.start(running)
        async with client_of(hub) as client:
            error = LookupError("mine")
            await running.end(error)
            assert running.error is error
            assert await client.ending() == 1001


async def test_at_the_end_all_clients_are_told_and_nothing_is_left_on_the_bus() -> None:
    bus = Bus()
    running = Running(bus)
    async with anyio.create_task_group() as tasks:
        hub = await tasks.start(running)
        async with client_of(hub) as one, client_of(hub, "topic/a") as plain:
            async with client_of(hub) as other:
                await one.subscribe("a", keep=60)
                await other.subscribe(">", keep=60)
            await until(lambda: hub.connections == 2)
            await running.end()
            assert [await one.ending(), await plain.ending()] == [1001, 1001]
        assert hub.connections == 0
        assert bus.subscriptions() == []
    bus.publish("a", "the bus goes on")


async def test_the_end_waits_for_nobody() -> None:
    """Neither for who reads nothing, nor for who is being judged, nor for who is just coming."""
    entered = anyio.Event()

    async def authorize(token: str | None, action: str, name: str) -> bool:
        if name == "judged":
            entered.set()
            await anyio.sleep_forever()
        return True

    bus = Bus()
    limits = Limits(patience=60, handshake_seconds=60)
    running = Running(bus, limits=limits, authorize=authorize)
    async with anyio.create_task_group() as tasks:
        hub = await tasks.start(running)
        async with (
            await anyio.connect_tcp("127.0.0.1", hub.port) as begun,
            raw_client_of(hub) as bad,
            client_of(hub) as judged,
        ):
            await begun.send(b"GET / HTTP/1.1\r\n")
            text = write_request(Subscribe(patterns=("large",)))
            assert isinstance(text, str)
            await bad.send(frame(TEXT, text.encode()))
            await judged.say(Subscribe(patterns=("judged",)))
            await entered.wait()
            await until(lambda: bool(bus.subscriptions()))
            bus.publish("large", LARGE * 100)
            await anyio.lowlevel.checkpoint()
            assert await running.end() < SOON


async def test_who_is_cancelled_while_it_serves_tells_its_clients() -> None:
    bus = Bus()
    running = Running(bus)
    async with anyio.create_task_group() as tasks:
        hub = await tasks.start(running)
        async with client_of(hub) as client:
            await client.subscribe("a")
            running.scope.cancel()
            assert await client.ending() == 1001
            await running.ended.wait()
            assert running.scope.cancelled_caught
            assert bus.subscriptions() == []


async def test_a_bus_that_was_closed_before_is_served_all_the_same() -> None:
    bus = Bus()
    bus.close()
    async with hub_of(bus) as hub, client_of(hub) as client, client_of(hub, "topic/a") as plain:
        assert (await client.ask(Subscribe(patterns=("a",)))).code == "closed"
        assert await plain.ending() == 1008
        await client.subscribe("$statistics")
        await client.values(1)


async def test_it_can_be_encrypted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    trusting.check_hostname = False
    async with hub_of(Bus(), ssl=context) as hub, client_of(hub, ssl=trusting) as client:
        assert hub.url == f"wss://127.0.0.1:{hub.port}/"
        await client.subscribe("a")
        hub.bus.publish("a", 1)
        assert await client.values(1) == [1]


@pytest.mark.parametrize(
    "limit", ["connections", "rate", "lag_seconds", "places", "recheck_seconds", "ping_seconds"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), "ten", None])
def test_a_limit_is_more_than_nothing(limit: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{limit} is a number, more than 0"):
        Limits(**{limit: value})


class Storm:
    """Clients that do what they may, and what they may not, in any order."""

    def __init__(self, bus: Bus, dice: random.Random) -> None:
        self.bus = bus
        self.dice = dice
        self.keys = ["unknown"]
        self.forbidden: set[str] = set()

    async def authorize(self, token: str | None, action: str, name: str) -> bool:
        """Judge, and take a while for it."""
        for _ in range(self.dice.randrange(3)):
            await anyio.lowlevel.checkpoint()
        return name not in self.forbidden

    def request(self) -> Any:
        """Return one of those that there are."""
        dice = self.dice
        patterns = tuple(dice.sample(["a", "b", "a.*", ">"], dice.choice([1, 1, 2])))
        to = " ".join(sorted(patterns))
        return dice.choice(
            [
                Subscribe(patterns=patterns, keep=dice.choice([None, 0.05, 60])),
                Subscribe(patterns=patterns, keep=60, max_lag=2, on_lag="close"),
                Unsubscribe(to=to),
                Acknowledge(to=to, count=dice.randrange(5)),
                Resume(resume=dice.choice(self.keys[-6:]), count=dice.randrange(5)),
                Publish(topic=dice.choice(["a", "b", "a.b"]), value=1, id=1),
                Authenticate(token="any"),
                Ping(),
            ]
        )

    async def read(self, client: Client) -> None:
        """Hear what there is to hear, and note what can be resumed."""
        with suppress(ConnectionClosed):
            while True:
                event = parse_event(await client.websocket.recv())
                if isinstance(event, Subscribed) and event.resume is not None:
                    self.keys.append(event.resume)

    async def blow(self, hub: Any, times: int) -> None:
        """Be one client after the other."""
        for _ in range(times):
            async with client_of(hub) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(self.read, client)
                with suppress(ConnectionClosed):
                    for _ in range(self.dice.randrange(12)):
                        await client.say(self.request())
                        self.disturb()
                        if self.dice.random() < 0.5:
                            await anyio.lowlevel.checkpoint()
                if self.dice.random() < 0.7:
                    client.abort()
                tasks.cancel_scope.cancel()

    def disturb(self) -> None:
        """Publish, close a topic, or change who may do what."""
        what = self.dice.randrange(20)
        if what < 10:
            self.bus.publish(self.dice.choice(["a", "b", "a.b"]), 2)
        elif what == 10:
            self.bus.topic(self.dice.choice(["a", "b"])).close()
        elif what == 11:
            self.forbidden = set(self.dice.sample(["a", "b", "a.*", ">"], self.dice.randrange(3)))


@pytest.mark.once
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_clients_do_the_hub_is_as_it_was(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Bus(limit=20)
    storm = Storm(bus, random.Random(seed))
    limits = Limits(recheck_seconds=0.005, errors=1000, places=20)
    async with hub_of(bus, authorize=storm.authorize, limits=limits) as hub:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(storm.blow, hub, 10)
        await until(lambda: hub.connections == 0)
        storm.forbidden.clear()
        async with client_of(hub) as client:
            await client.subscribe("a")
            bus.publish("a", "still")
            assert await client.values(1) == ["still"]
            assert await client.ask(Ping()) == Pong()
    assert bus.subscriptions() == []
    errors = [record for record in caplog.records if record.name == "driftline.hub"]
    assert not [record.getMessage() for record in errors if record.levelname == "ERROR"]
