"""A bus used by several threads at once, in many orders of their steps, and in a flood."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import pytest

import driftline
from driftline import Bus, Subscription, Topic
from driftline._bus import history
from driftline._core.invariants import check
from proof import interleavings
from proof.law import Ledger, Published, Reader

PATIENCE = 30.0  # seconds, after which a test has failed


class Names:
    """Publishes on a bus, one publisher's messages on several topics in turn."""

    def __init__(self, bus: Bus, *names: str) -> None:
        self.bus = bus
        self.names = names

    def publish(self, value: Published) -> None:
        self.bus.publish(self.name_of(value), value)

    def name_of(self, value: Published) -> str:
        return self.names[value[1] % len(self.names)]

    def wants(self, *names: str) -> Callable[[Published], bool]:
        return lambda value: self.name_of(value) in names


@dataclass
class Meeting:
    """A few threads that meet, and what must hold afterwards."""

    threads: Sequence[Callable[[], object]]
    check: Callable[[], None]


def explore(make: Callable[[], Meeting], bound: int = 2, at_random: int = 0) -> None:
    most = 300
    explored = interleavings.explore(
        make, within=[driftline], bound=bound, most=most, at_random=at_random
    )
    assert explored.complete or explored.schedules == most + at_random
    assert explored.schedules > 1


def read_ready(reader: Reader[Subscription[Published]]) -> None:
    with suppress(anyio.WouldBlock, anyio.EndOfStream):
        while True:
            reader.got(reader.subscription.receive_nowait())


def check_law(bus: Bus, ledger: Ledger) -> None:
    joint = bus._joint
    assert not joint.inbox
    for reader in ledger.readers:
        read_ready(reader)
        check(reader.subscription.topic)
    ledger.check()
    assert joint.published == len(ledger.accepted)


def start(*names: str, **settings: Any) -> tuple[Bus, Ledger, Names]:
    bus = Bus(**settings)
    publishes = Names(bus, *names)
    return bus, Ledger(publishes), publishes


def publish_and_publish() -> Meeting:
    bus, ledger, publishes = start("a.x", "b.x")
    held = [bus.topic(name) for name in ("a.x", "b.x")]
    ledger.reader("everything", lambda: bus.subscribe(">"))
    ledger.reader("some", lambda: bus.subscribe("a.*", "*.y"), publishes.wants("a.x"))
    ledger.reader("one", held[1].subscribe, publishes.wants("b.x"))

    def publish(name: str) -> None:
        ledger.publish(name)
        ledger.publish(name)

    return Meeting([partial(publish, "p"), partial(publish, "q")], partial(check_law, bus, ledger))


def publish_and_subscribe() -> Meeting:
    bus, ledger, _ = start("a.x", "b.x")
    held = bus.topic("a.x")

    def publish() -> None:
        ledger.publish("p")
        ledger.publish("p")

    def check() -> None:
        assert held.published == 1
        check_law(bus, ledger)

    return Meeting([publish, lambda: ledger.reader("late", lambda: bus.subscribe("*.x"))], check)


def make_one_topic_twice() -> Meeting:
    bus, ledger, _ = start("a.x")
    ledger.reader("everything", lambda: bus.subscribe(">"))
    made: list[Topic[Any]] = []

    def check() -> None:
        assert made[0] is made[1] is bus.topic("a.x")
        check_law(bus, ledger)

    def make(name: str) -> None:
        made.append(bus.topic("a.x"))
        ledger.publish(name)

    return Meeting([partial(make, "p"), partial(make, "q")], check)


def make_a_topic_that_just_dies() -> Meeting:
    bus, ledger, _ = start("a.x")
    ledger.reader("everything", lambda: bus.subscribe(">"))
    held = [bus.topic("a.x")]

    def make() -> None:
        topic = bus.topic("a.x")
        ledger.publish("p")
        assert bus.topic("a.x") is topic

    return Meeting([held.clear, make], partial(check_law, bus, ledger))


def subscribe_and_subscribe() -> Meeting:
    bus, ledger, _ = start("a.x")
    held = bus.topic("a.x")

    def subscribe(name: str) -> None:
        ledger.reader(name, lambda: bus.subscribe("a.*"))
        ledger.publish(name)

    def check() -> None:
        assert held.published == 2
        assert ledger.readers[0].subscription.topic is ledger.readers[1].subscription.topic
        check_law(bus, ledger)

    return Meeting([partial(subscribe, "p"), partial(subscribe, "q")], check)


def subscribe_to_a_stream_that_just_dies() -> Meeting:
    bus, ledger, _ = start("a.x")
    held = bus.topic("a.x"), [bus.subscribe("a.*")]

    def subscribe() -> None:
        ledger.reader("late", lambda: bus.subscribe("a.*"))
        ledger.publish("p")
        ledger.publish("p")

    return Meeting([held[1].clear, subscribe], partial(check_law, bus, ledger))


def close_and_publish() -> Meeting:
    bus, ledger, publishes = start("a.x", "b.x")
    held = bus.topic("a.x")
    ledger.reader("everything", lambda: bus.subscribe(">"))
    ledger.reader("one", held.subscribe, publishes.wants("a.x"))

    def publish() -> None:
        with suppress(anyio.ClosedResourceError):
            ledger.publish("p")
            ledger.publish("p")

    def check() -> None:
        check_law(bus, ledger)
        assert all(topic.closed for topic in bus.topics())
        for reader in ledger.readers:
            with pytest.raises(anyio.EndOfStream):
                reader.subscription.receive_nowait()

    return Meeting([bus.close, publish], check)


def close_and_subscribe() -> Meeting:
    bus, _, _ = start("a.x")
    made: list[Subscription[Any]] = []

    def subscribe() -> None:
        with suppress(anyio.ClosedResourceError):
            made.append(bus.subscribe("a.*"))
            made.append(bus.subscribe("a"))

    def check() -> None:
        for subscription in made:
            with pytest.raises(anyio.EndOfStream):
                subscription.receive_nowait()
        assert all(topic.closed for topic in bus.topics())

    return Meeting([bus.close, subscribe], check)


def close_a_topic_and_publish() -> Meeting:
    bus, ledger, _ = start("a.x")
    topic = bus.topic("a.x")
    ledger.reader("everything", lambda: bus.subscribe(">"))

    def publish() -> None:
        ledger.publish("p")
        ledger.publish("p")

    def check() -> None:
        assert bus.topic("a.x") is not topic
        check_law(bus, ledger)

    return Meeting([topic.close, publish], check)


def begin_with_the_past_and_publish() -> Meeting:
    bus, ledger, _ = start("a.x", "b.x", replay=10)
    held = [bus.topic(name) for name in ("a.x", "b.x")]
    ledger.publish("p")
    subscriptions: list[Subscription[Published]] = []

    def publish() -> None:
        for _ in held:
            ledger.publish("p")

    def subscribe() -> None:
        with suppress(RuntimeError):  # in the middle of the other's publish
            subscriptions.append(bus.subscribe("*.x", replay=10))

    def check_past() -> None:
        for subscription in subscriptions:
            got = []
            with suppress(anyio.WouldBlock):
                while True:
                    got.append(subscription.receive_nowait())
            assert got == [("p", 0), ("p", 1), ("p", 2)]

    return Meeting([publish, subscribe], check_past)


MEETINGS = [
    publish_and_publish,
    publish_and_subscribe,
    make_one_topic_twice,
    make_a_topic_that_just_dies,
    subscribe_and_subscribe,
    subscribe_to_a_stream_that_just_dies,
    close_and_publish,
    close_and_subscribe,
    close_a_topic_and_publish,
    begin_with_the_past_and_publish,
]


let_end = Bus._let_end


def let_end_and_others_run(bus: Bus, closed: Topic[Any]) -> None:
    """Publish again after others had their turn.

    The explorer stops who closes a topic between two instructions between which the interpreter
    does not: there the name is neither free nor to be freed, and publishing would try for ever.
    """
    let_end(bus, closed)
    lock = interleavings.Lock()
    lock.acquire()
    lock.acquire(timeout=0.001)


@pytest.mark.once
@pytest.mark.untraced
@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda meeting: meeting.__name__)
def test_p1_p2_p3_w3_any_two_threads_keep_the_law(
    meeting: Callable[[], Meeting], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The explorer lets one thread run at a time: who waits by sleeping would wait for ever.
    monkeypatch.setattr(history, "_TRIES", 1)
    monkeypatch.setattr(Bus, "_let_end", let_end_and_others_run)
    explore(meeting, bound=1)
    explore(meeting, bound=0, at_random=20)


# In a flood.


@pytest.fixture
def switching_threads_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(functions: Sequence[Callable[[], object]]) -> None:
    """Run in threads, and raise what one of them raises."""
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("switching_threads_often")
def test_p1_p3_p11_lags_in_a_flood_from_four_threads_are_never_negative_and_add_up() -> None:
    bus, ledger, publishes = start("a.x", "a.y", "b.x", "c")
    readers = [
        ledger.reader("topic", lambda: bus.subscribe("a.x"), publishes.wants("a.x")),
        ledger.reader("stream", lambda: bus.subscribe("a.*"), publishes.wants("a.x", "a.y")),
        ledger.reader("everything", lambda: bus.subscribe(">")),
        ledger.reader("also everything", lambda: bus.subscribe("c", ">")),
    ]
    still = bus.subscribe(">", name="still")
    ended = threading.Event()
    looks = 0

    def flood(name: str) -> None:
        for _ in range(1500):
            ledger.publish(name)

    def read(reader: Reader[Subscription[Published]]) -> None:
        for value in reader.subscription:
            reader.got(value)

    def look() -> None:
        nonlocal looks
        last = 0
        while not ended.is_set():
            rows = bus.lags()
            assert len(rows) == 5
            assert all(row.lag >= 0 and row.lag_seconds >= 0 for row in rows)
            assert [row.lag for row in rows] == sorted((row.lag for row in rows), reverse=True)
            lag = next(row.lag for row in rows if row.name == "still")
            assert lag >= last, "a reader that does not read cannot catch up"
            last = lag
            statistics = bus.statistics()
            assert 0 <= statistics.published <= 6000
            looks += 1

    def publish_all() -> None:
        try:
            together([partial(flood, name) for name in "pqrs"])
        finally:
            bus.close()
            ended.set()

    together([publish_all, look, *(partial(read, reader) for reader in readers)])
    assert looks > 0
    ledger.check()
    assert still.lag == bus.statistics().published == 6000
    assert sum(row.lag for row in bus.lags()) == 6000


def test_p8_publishers_do_not_outrun_the_one_who_links() -> None:
    """Who only puts messages into the inbox is quicker than who takes them out."""
    bus = Bus(limit=100)
    topic = bus.topic("a.x")
    streams = [bus.subscribe("a.*", f"other.{n}") for n in range(10)]
    longest = 0

    def flood() -> None:
        nonlocal longest
        for _ in range(4000):
            topic.publish(None)
            longest = max(longest, len(bus._joint.inbox))

    together([flood] * 4)
    assert longest < 3000  # of 16,000
    assert not bus._joint.inbox
    assert {subscription.lag for subscription in streams} == {16_000}


@pytest.mark.usefixtures("switching_threads_often")
def test_publishing_by_name_is_not_refused_while_another_thread_closes_the_topic() -> None:
    bus = Bus()
    reader = bus.subscribe("*")

    def close() -> None:
        for _ in range(300):
            bus.topic("a").close()

    def publish() -> None:
        for n in range(1000):
            bus.publish("a", n)

    together([close, publish])
    assert [reader.receive_nowait() for _ in range(1000)] == list(range(1000))


@pytest.mark.parametrize(
    "publish", [Bus.publish, lambda bus, *rest: bus.publish_many(rest[0], rest[1:])]
)
def test_publishing_by_name_is_not_refused_however_often_the_topic_is_closed(
    publish: Callable[[Bus, str, int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus()
    reader = bus.subscribe("*")
    left = 3
    append = Topic._append

    def close_and_append(self: Topic[Any], *rest: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            self.close()
        append(self, *rest)

    monkeypatch.setattr(Topic, "_append", close_and_append)
    publish(bus, "a", 1)
    assert reader.receive_nowait() == 1
    assert left == 0


def test_b5_one_bus_on_several_event_loops_and_in_threads() -> None:
    bus, ledger, _ = start("a.x", "a.y")
    barrier = threading.Barrier(5)

    async def read(reader: Reader[Subscription[Published]]) -> None:
        barrier.wait(PATIENCE)
        async for value in reader.subscription:
            reader.got(value)

    def read_in_thread(reader: Reader[Subscription[Published]]) -> None:
        barrier.wait(PATIENCE)
        for value in reader.subscription:
            reader.got(value)

    def publish() -> None:
        barrier.wait(PATIENCE)
        for _ in range(500):
            ledger.publish("p")
        bus.close()

    readers = [ledger.reader(str(n), lambda: bus.subscribe("a.*")) for n in range(4)]
    together(
        [
            publish,
            lambda: anyio.run(read, readers[0], backend="asyncio"),
            lambda: anyio.run(
                read, readers[1], backend="asyncio", backend_options={"use_uvloop": True}
            ),
            lambda: anyio.run(read, readers[2], backend="trio"),
            partial(read_in_thread, readers[3]),
        ]
    )
    assert [len(reader.values) for reader in readers] == [500] * 4
    ledger.check()


@pytest.mark.usefixtures("switching_threads_often")
def test_d9_names_and_patterns_that_come_and_go_in_threads_lose_nothing() -> None:
    bus, ledger, _ = start(*(f"name.{n}" for n in range(7)))
    witness = ledger.reader("witness", lambda: bus.subscribe("name.*"))

    def publish(name: str) -> None:
        for _ in range(400):
            ledger.publish(name)
            bus._kept.recent.clear()

    def subscribe() -> None:
        for n in range(400):
            with bus.subscribe("name.*", f"other.{n % 5}"), bus.subscribe(f"name.{n % 7}"):
                pass

    together([partial(publish, "p"), partial(publish, "q"), subscribe, subscribe])
    read_ready(witness)
    ledger.check()
    assert len(witness.values) == 800
    assert len(bus._joint.members) == 1
