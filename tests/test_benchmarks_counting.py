"""The benchmarks refuse to time what they have not counted.

A fault is planted in what is measured: a message is lost, comes twice, is another one or comes too
early. Beside each there is one without a fault, which is not refused.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pytest
from benchmarks import audience, deliveries, disruptor, latency, peers, peers_memory, tokio, zio
from benchmarks.audience import Miscount
from benchmarks.contenders import AsyncioQueues
from benchmarks.loops import ASYNCIO
from benchmarks.peers_contenders import Entry, PlainHolding

from interpreter import python

pytestmark = pytest.mark.once

FAULTY_WEBSOCKETS = """
from benchmarks import ws_server
from benchmarks.loops import ASYNCIO
from benchmarks.ws_contenders import BROADCAST, MAKE, Broadcast, broadcast

ws_server.PATIENCE = 0.3

class Faulty(Broadcast):
    def publish(self, message: str) -> None:
        if '"number":2,' in message:
            {fault}
        super().publish(message)

MAKE[BROADCAST] = Faulty
kinds = {{BROADCAST: ws_server.PLAIN}}
arguments = {{"kinds": kinds, "size": 100, "burst": 1, "ticks": 5, "rounds": 1}}
server = ws_server.Server("asyncio", [ws_server.PLAIN], 7, 0, [("cost", arguments)])
ASYNCIO.run(server.measure)
"""


FAULTY_RIVAL = """
from benchmarks import ws_server
from benchmarks.ws_contenders import MAKE, NATIVE, ROOM, Members

ws_server.PATIENCE = 0.3

class Faulty(Members):
    async def publish(self, message: str) -> None:
        if '"number":2,' in message:
            {fault}
        await ws_server.publish(super(), message)

MAKE[{kind}] = Faulty
arguments = {{"kinds": {{{kind}: {kind}}}, "size": 100, "burst": 1, "ticks": 5, "rounds": 1}}
server = ws_server.Server("", [{kind}], 7, 0, [("cost", arguments)])
ws_server.RUN[NATIVE if {kind} == NATIVE else "asyncio"](server.measure)
"""


Others = Callable[[Any], list[Any]]
Found = AbstractContextManager[object]
miscount = pytest.RaisesGroup(Miscount, allow_unwrapped=True, flatten_subgroups=True)

Make = Callable[[], AsyncioQueues[int]]


def faulty(fault: Callable[[Any], object]) -> Make:
    """Return how queues are made of which the second is not as it should be."""

    class Faulty(AsyncioQueues[int]):
        def publish(self, value: int) -> None:
            super().publish(value)
            if value == 50:  # in the burst, so that more are in the queue
                fault(self.clients[1])

    return Faulty


def weighed(make: Make, keeps: int | None = None) -> object:
    return ASYNCIO.run(peers_memory.weigh, lambda: PlainHolding(make()), 3, 100, keeps)


COUNTED: dict[str, Callable[[Make], object]] = {
    "contenders": lambda make: ASYNCIO.run(
        deliveries.turn, ASYNCIO, make, deliveries.Size(3, 10, 1, 1)
    ),
    "peers": lambda make: ASYNCIO.run(
        peers.turn, Entry(lambda: PlainHolding(make()), "", ""), deliveries.Size(3, 10, 1, 1)
    ),
    "stalled peers": weighed,
}


@pytest.mark.parametrize("readers", COUNTED)
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        pytest.param(lambda queue: None, nullcontext(), id="none"),
        pytest.param(lambda queue: queue.get_nowait(), miscount, id="lost"),
        pytest.param(lambda queue: queue.put_nowait(50), miscount, id="twice"),
        pytest.param(
            lambda queue: (queue.get_nowait(), queue.put_nowait(8)), miscount, id="another"
        ),
        pytest.param(
            lambda queue: queue.put_nowait(queue.get_nowait()), miscount, id="out of order"
        ),
    ],
)
def test_a_miscount_is_caught(
    fault: Callable[[Any], object], found: Found, readers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "PATIENCE", 0.1)
    with found:
        COUNTED[readers](faulty(fault))


def test_a_peer_keeps_no_more_than_the_table_says() -> None:
    with pytest.raises(Miscount, match="more than 60 messages were pending"):
        weighed(AsyncioQueues, keeps=60)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        pytest.param(
            "broadcast([*self.connections[:1], *self.connections[2:]], message); return",
            "bytes, not",
            id="lost",
        ),
        pytest.param("broadcast(self.connections[2:3], message)", "bytes, not", id="twice"),
        pytest.param("message = message.upper()", "another message", id="another"),
    ],
)
def test_a_miscount_of_websocket_clients_is_caught(fault: str, found: str) -> None:
    result = python("-c", FAULTY_WEBSOCKETS.format(fault=fault))

    assert result.returncode != 0
    assert "Miscount: no compression: " in result.stderr
    assert found in result.stderr


@pytest.mark.parametrize(
    ("kind", "fault", "found"),
    [
        pytest.param("ROOM", "return", "another message", id="lost"),
        pytest.param("ROOM", "message = message.upper()", "another message", id="another"),
        pytest.param(
            "ROOM", "self.members[2].transport.write(bytes([129, 0]))", "bytes, not", id="one more"
        ),
        pytest.param("NATIVE", "super().publish(message)", "another message", id="twice"),
    ],
)
def test_a_miscount_of_clients_of_other_servers_is_caught(
    kind: str, fault: str, found: str
) -> None:
    result = python("-c", FAULTY_RIVAL.format(kind=kind, fault=fault))

    assert result.returncode != 0
    assert "Miscount: " in result.stderr
    assert found in result.stderr


def test_the_miscount_of_clients_of_other_servers_is_in_the_fault() -> None:
    result = python("-c", FAULTY_RIVAL.format(kind="ROOM", fault="pass"))

    assert result.returncode == 0, result.stderr


def test_the_miscount_of_websocket_clients_is_in_the_fault() -> None:
    result = python("-c", FAULTY_WEBSOCKETS.format(fault="pass"))

    assert result.returncode == 0, result.stderr


LOSING = """
from benchmarks import limit_cost, stalled
from driftline import Subscription, Topic

receive = Subscription.receive_nowait
Subscription.receive_nowait = lambda subscription: {receive}
{measure}
"""
MEASURES = [
    "limit_cost.stalls(lambda: Topic(limit=10), 100)",
    "c = stalled.Limited(10); [c.publish(0) for _ in range(100)]; c.verify()",
]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_reader_that_drops_messages_breaks_the_law(measure: str) -> None:
    dropping = LOSING.format(
        receive="(receive(subscription), receive(subscription))[0]", measure=measure
    )
    result = python("-c", dropping)

    assert result.returncode != 0
    assert "Miscount: received 5 messages, but counts 10" in result.stderr

    result = python("-c", LOSING.format(receive="receive(subscription)", measure=measure))
    assert result.returncode == 0, result.stderr


class Fault:
    """Turns one value in a stream of them into others."""

    def __init__(self, others: Others) -> None:
        self.others = others
        self.seen = 0

    def __call__(self, value: Any) -> list[Any]:
        self.seen += 1
        return self.others(value) if self.seen == 2 else [value]


with_faults = pytest.mark.parametrize(
    ("others", "found"),
    [
        pytest.param(lambda value: [value], nullcontext(), id="none"),
        pytest.param(lambda value: [], miscount, id="lost"),
        pytest.param(lambda value: [value, value], miscount, id="twice"),
        pytest.param(lambda value: [value + 1], miscount, id="another"),
    ],
)


@with_faults
def test_a_wrong_drain_is_caught(others: Others, found: Found) -> None:
    def make(receivers: int) -> tokio.Channel:
        publish, [drain, *drains] = tokio.one_by_one(receivers)
        fault = Fault(others)
        return tokio.Channel(
            publish, [lambda: [value for taken in drain() for value in fault(taken)], *drains]
        )

    with found:
        ASYNCIO.run(tokio.turn, make, tokio.Size(3, 2))


@with_faults
def test_a_wrong_send_is_caught(
    others: Others, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(zio.Queues):
        def __init__(self) -> None:
            super().__init__(2)
            self.fault = Fault(others)

        async def send(self, value: int) -> None:
            first, *clients = self.clients
            for sent in self.fault(value):
                await first.put(sent)
            for client in clients:
                await client.put(value)

    monkeypatch.setattr(audience, "PATIENCE", 0.1)
    shape = zio.Shape("back pressure", zio.with_back_pressure, 3, 10, 2)
    with found:
        ASYNCIO.run(zio.turn, ASYNCIO, Faulty, shape)


class FaultyTopics(disruptor.Topics):
    """Topics whose consumers get something else."""

    def __init__(self, others: Others) -> None:
        super().__init__()
        self.others = others

    def subscribe(self) -> Iterator[int]:
        fault = Fault(self.others)
        return (value for taken in super().subscribe() for value in fault(taken))


@with_faults
def test_a_wrong_result_of_a_thread_is_caught(others: Others, found: Found) -> None:
    with found:
        disruptor.multicast(partial(FaultyTopics, others), 10)


@with_faults
def test_a_wrong_hop_is_caught(others: Others, found: Found) -> None:
    with found:
        disruptor.relay(partial(FaultyTopics, others), 1000, 10)


def test_a_thread_that_waits_for_ever_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(disruptor.Topics):
        def __init__(self) -> None:
            super().__init__()
            self.close = lambda error=None: None

    monkeypatch.setattr(disruptor, "PATIENCE", 0.1)
    with pytest.raises(Miscount, match="add waits for messages that do not come"):
        disruptor.multicast(Endless, 10)


@pytest.mark.parametrize("slow", [0, 3])
@with_faults
def test_a_wrong_delivery_in_time_is_caught(
    others: Others, found: Found, slow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty(AsyncioQueues[float]):
        fault = Fault(others)

        def publish(self, value: float) -> None:
            first, *clients = self.clients
            for sent in self.fault(value):
                first.put_nowait(sent)
            for client in clients:
                client.put_nowait(value)

    monkeypatch.setattr(latency, "PATIENCE", 0.1)
    monkeypatch.setattr(latency, "RATE", 100)
    monkeypatch.setattr(latency, "PAUSE", 0.001)
    with found:
        ASYNCIO.run(latency.turn, ASYNCIO, Faulty, latency.Size(3, 5, 1), slow)
