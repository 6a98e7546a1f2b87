"""What another thread may do between two steps of a call, done there on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import anyio
import pytest

from driftline import Bus, Topic
from driftline._bus.joint import Joint
from driftline._bus.topics import BusTopic

PUBLISH: dict[str, Callable[[Bus], object]] = {
    "publish": lambda bus: bus.publish("a", 1),
    "publish_many": lambda bus: bus.publish_many("a", [1]),
}


class Thing:
    """Something that can die."""


def dead() -> ref[Any]:
    """Refer to what has died just now."""
    return ref(Thing())


def before(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, act: Callable[[], Any]) -> None:
    """Do something once, before the next call of a method."""
    method = getattr(owner, name)

    def act_and_call(*arguments: Any) -> Any:
        monkeypatch.undo()
        act()
        return method(*arguments)

    monkeypatch.setattr(owner, name, act_and_call)


def test_a_topic_that_is_just_being_closed_is_followed_by_another() -> None:
    bus = Bus()
    closing = bus.topic("a")
    Topic.close(closing)  # the first thing that its own `close` does
    following = bus.topic("a")
    assert following is not closing
    assert not following.closed
    assert bus.topic("a") is following


@pytest.mark.parametrize("publish", PUBLISH.values(), ids=PUBLISH)
def test_a_topic_that_is_closed_before_the_message_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch, publish: Callable[[Bus], object]
) -> None:
    bus = Bus()
    reader = bus.subscribe("*")
    method = publish.__code__.co_names[0]
    before(monkeypatch, Topic, method, lambda: bus.topic("a").close())
    publish(bus)
    assert reader.receive_nowait() == 1
    assert reader.lag == 0


@pytest.mark.parametrize("publish", PUBLISH.values(), ids=PUBLISH)
def test_a_bus_that_is_closed_before_the_message_refuses_it(
    monkeypatch: pytest.MonkeyPatch, publish: Callable[[Bus], object]
) -> None:
    bus = Bus()
    before(monkeypatch, Topic, publish.__code__.co_names[0], bus.close)
    with pytest.raises(anyio.ClosedResourceError, match="the bus was closed"):
        publish(bus)


def test_a_topic_that_is_made_while_the_bus_is_closed_is_closed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    made: list[BusTopic[Any]] = []

    def close_and_make() -> None:
        bus.close()
        made.append(bus._joint.topic("a", lambda: BusTopic(bus._joint, "a", {})))

    before(monkeypatch, Joint, "topic", close_and_make)
    with pytest.raises(anyio.ClosedResourceError, match="the bus was closed"):
        bus.topic("a")
    assert made[0].closed


def test_a_subscription_to_a_bus_that_is_just_closed_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    before(monkeypatch, Joint, "stream", bus.close)
    subscription = bus.subscribe("a.*")
    with pytest.raises(anyio.EndOfStream):
        subscription.receive_nowait()


def test_a_bus_with_a_stream_that_just_died_can_be_closed() -> None:
    bus = Bus()
    reader = bus.subscribe("b.*")
    bus._joint.streams = {("a.*",): dead(), **bus._joint.streams}
    bus.close()
    with pytest.raises(anyio.EndOfStream):
        reader.receive_nowait()


def test_a_topic_that_died_while_it_was_looked_for_is_made_anew() -> None:
    joint = Bus()._joint
    made: list[BusTopic[Any]] = []

    def make() -> BusTopic[Any]:
        if not made:  # another thread has made it, and forgotten it
            joint.named["a"] = dead()
        made.append(BusTopic(joint, "a", {}))
        return made[-1]

    assert joint.topic("a", make) is made[1]


def test_a_subscription_can_be_parked_when_its_bus_is_gone() -> None:
    subscription = Bus().subscribe("a.*")
    assert subscription.park(60) == subscription.position


def test_what_outlives_its_bus_can_die() -> None:
    thing = Thing()
    reference = Bus()._joint._reference(thing, "a")  # type: ignore[type-var]
    del thing  # an error in a callback would be reported
    assert reference() is None


def test_k4_an_interruption_between_the_copies_and_the_message_delivers_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = Bus()
    named, matching = bus.subscribe("a"), bus.subscribe("*")

    def interrupt() -> None:
        raise KeyboardInterrupt

    before(monkeypatch, Topic, "_link", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bus.publish("a", 1)
    for subscription in (named, matching):
        assert subscription.lag == 1
        assert subscription.receive_nowait() == 1


def test_k5_a_message_that_comes_behind_the_end_is_in_no_stream() -> None:
    bus = Bus()
    topic, reader = bus.topic("a"), bus.subscribe("*")
    turn = topic._turn
    del turn.free  # somebody links
    topic.close()
    topic._closing = False  # was looked at before
    topic.publish(1)
    topic._closing = True
    turn.free = True
    topic._link_inbox()
    assert reader.lag == 0
    assert topic.published == 0


def test_a_bus_says_what_it_is() -> None:
    bus = Bus()
    topic = bus.topic("a")
    assert repr(bus) == "<Bus, topics: 1>"
    topic.close()
    bus.close()
    assert repr(bus) == "<Bus, topics: 0, closed>"
