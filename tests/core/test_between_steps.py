"""What comes between two steps of a call, done there on purpose."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from itertools import pairwise
from threading import Thread
from time import monotonic
from types import SimpleNamespace
from typing import Any
from weakref import ref

import anyio
import pytest
import trio.lowlevel

from driftline import Lagged, Position, PositionLost, Subscription, Topic
from driftline._core import invariants, tolerance
from driftline._core.hold import Hold, read
from driftline._core.link import CLOSED, END, Gap, Link, Milestone, Past
from driftline._core.milestones import Milestones, _last
from driftline._core.parking import event_loop_here
from driftline._core.parking.on_asyncio import AsyncioParking, AsyncioWaiter
from driftline._core.parking.on_threads import ThreadParking, _clear_all
from driftline._core.places import Place
from driftline._core.replay import Replay
from driftline._core.senders import Sender, _forget_others
from driftline._core.tolerance import NotYet
from driftline._core.turn import Turn, _free_all

Read = Callable[[Subscription[int]], Any]


async def first(view: Any) -> Any:
    """Return the next item of what is iterated over in a task."""
    return await anext(view)


NOW: dict[str, Read] = {
    "receive_nowait": lambda reader: reader.receive_nowait(),
    "receive_blocking": lambda reader: reader.receive_blocking(0),
    "receive": lambda reader: asyncio.run(reader.receive()),
    "messages": lambda reader: reader.messages().receive_nowait().value,
    "messages in a task": lambda reader: asyncio.run(first(reader.messages())).value,
    "batches": lambda reader: reader.batches().receive_nowait()[0],
    "latest_by": lambda reader: reader.latest_by(abs).receive_nowait()[3],
}

SEND: dict[str, Callable[[Topic[int]], None]] = {
    "send": lambda topic: asyncio.run(topic.send(1)),
    "send_blocking": lambda topic: topic.send_blocking(1),
}


class Moment(Link[Any]):
    """A link at which something happens in the moment in which its message is taken."""

    __slots__ = ("act",)

    act: Callable[[Moment], Any]

    @property
    def value(self) -> Any:
        """Have it happen."""
        return self.act(self)


def interrupt(*_: object) -> None:
    """Do what a signal handler does."""
    raise KeyboardInterrupt


def before(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, act: Callable[[], Any]) -> None:
    """Do something once, before the next call of a method."""
    method = getattr(owner, name)

    def act_and_call(*arguments: Any) -> Any:
        monkeypatch.undo()
        act()
        return method(*arguments)

    monkeypatch.setattr(owner, name, act_and_call)


def at_the_second(act: Callable[[Moment], Any]) -> Subscription[int]:
    """Return a reader that has read the first of three messages, before which it happens."""
    topic: Topic[int] = Topic(limit=16)
    reader = topic.subscribe(on_lag="skip")
    topic.publish_many([1, 2, 3])
    assert reader.receive_nowait() == 1
    moment = Moment()
    moment.act = act
    moment.time = reader._link.time
    moment.next = reader._link.next
    reader._link = moment
    return reader


def cut(link: Moment) -> Any:
    """Take the message away, as a publisher does beyond the limit."""
    following: Any = link.next
    link.next = Gap(following)
    raise AttributeError


@pytest.mark.parametrize("take", NOW.values(), ids=NOW)
def test_i1_a_message_that_is_cut_off_while_it_is_taken_is_missed(take: Read) -> None:
    reader = at_the_second(cut)
    assert take(reader) == 3
    assert (reader.received, reader.missed, reader.lag) == (2, 1, 0)


@pytest.mark.parametrize("way", ["receive", "receive_nowait", "batches"])
def test_s2_a_subscription_that_is_closed_while_it_takes_keeps_nothing(way: str) -> None:
    def close(_: Moment) -> int:
        reader.close()
        return 2

    reader = at_the_second(close)
    assert NOW[way](reader) == 2
    assert reader._link is CLOSED


def test_i1_a_message_is_not_taken_where_the_way_on_was_just_cut() -> None:
    topic: Topic[int] = Topic(limit=16)
    reader = topic.subscribe()
    topic.publish(1)
    reader._link.next = Gap(reader._link.next)  # type: ignore[arg-type]
    with pytest.raises(NotYet):
        reader._take()
    assert reader.received == 0


def test_a_subscription_that_is_just_being_closed_is_led_nowhere() -> None:
    topic: Topic[int] = Topic()
    leader, other = topic.subscribe(), topic.subscribe()
    topic.publish(1)
    leader.receive_nowait()
    other._closed = True  # the first thing that `close` does
    leader.lead([other])
    assert other._link is CLOSED


def test_what_is_read_ends_with_the_topic() -> None:
    topic: Topic[int] = Topic()
    reader = topic.subscribe()
    topic.publish(1)
    topic.close()
    for most in (2, 5):
        values, end = read(Hold(reader._link), most)
        assert values == [1]
        assert end.link.next is END


def test_what_is_read_ends_where_a_message_was_just_taken_away() -> None:
    topic: Topic[int] = Topic()
    reader = topic.subscribe()
    topic.publish(1)
    del reader._link.value
    values, end = read(Hold(reader._link), 5)
    assert values == []
    assert end.link is reader._link


@pytest.mark.parametrize("kind", [Hold, Place, Replay, Subscription])
def test_what_was_interrupted_before_it_was_made_can_die(kind: Any) -> None:
    kind.__new__(kind)  # an error in `__del__` would be reported


def test_a_topic_with_a_subscription_that_just_died_keeps_its_invariants() -> None:
    topic: Topic[int] = Topic()
    gone = Topic[int]().subscribe()
    topic._subscriptions[ref(gone)] = None  # with no callback that takes it away
    del gone
    assert topic._subscriptions
    invariants.check(topic)


def test_a_milestone_is_remembered_though_many_behind_it_are_dead() -> None:
    topic: Topic[int] = Topic()
    reader = topic.subscribe()
    topic.publish(1)
    dead = ref(Milestone[int]())
    milestones = topic._limits.milestones
    milestones._marks.extend((1, dead) for _ in range(300))
    topic.limit = 1
    topic.publish(2)
    assert milestones.oldest == reader._seq == 0


def test_s3_an_error_of_leading_keeps_no_messages() -> None:
    class Payload:
        pass

    topic: Topic[Any] = Topic()
    head, foreign = topic.subscribe(), Topic[Any]().subscribe()
    payload = Payload()
    gone = ref(payload)
    topic.publish(payload)
    del payload
    with pytest.raises(ValueError, match="is not behind") as error:
        head.lead([foreign])
    head.close()
    assert gone() is None
    assert error.tb is not None  # which has the frame


def test_the_first_milestone_alive_is_found_behind_dead_ones() -> None:
    milestones = Milestones()
    alive: Milestone[int] = Milestone()
    milestones._marks.extend([(1, ref(Milestone[int]())), (2, ref(alive))])
    assert milestones.first(1).link is alive


def test_the_newest_milestone_that_is_too_far_back_is_found_behind_a_dead_one() -> None:
    links: list[Milestone[int]] = [Milestone() for _ in range(5)]
    for link, following in pairwise(links):
        link.next = following
    marks = deque((number, ref(link)) for number, link in enumerate(links))
    marks[2] = (2, ref(Milestone[int]()))
    assert _last(marks, lambda _, seq: seq < 4).link is links[3]


def test_a_place_is_found_although_all_milestones_before_it_are_dead() -> None:
    links: list[Link[int]] = [Link() for _ in range(3000)]
    for link, following in pairwise(links):
        link.next = following
    found, seq = Milestones().seek(Hold(links[0]), 0, lambda _, seq: seq < 2000)
    assert (links.index(found.link), seq) == (2000, 2000)


def test_e4_who_publishes_on_a_topic_that_is_closed_in_this_moment_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = Topic._refuse_if_closed

    def look_and_close(topic: Topic[int]) -> None:
        look(topic)
        monkeypatch.undo()
        topic.close()

    monkeypatch.setattr(Topic, "_refuse_if_closed", look_and_close)
    topic: Topic[int] = Topic()
    with pytest.raises(anyio.ClosedResourceError):
        topic.publish(1)
    assert topic.published == 0


def test_p2_what_was_published_before_may_come_if_another_thread_is_about_to_link_it() -> None:
    topic: Topic[int] = Topic()
    other = topic.subscribe()
    del topic._turn.free  # another thread, which reads, has taken it
    topic.publish(1)
    reader = topic.subscribe()
    topic._turn.free = True
    assert other.receive_nowait() == 1
    assert reader.receive_nowait() == 1


class Registering(dict[Any, Any]):
    """The subscriptions of a topic, where something happens just after the first has come."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key, value)
        act, self._act = self._act, lambda: None
        act()


def send_ready(topic: Topic[int], messages: int) -> None:
    """Send some messages, as long as there is room."""
    with suppress(TimeoutError):
        for _ in range(messages):
            topic.send_blocking(topic.published, timeout=0)


@pytest.mark.parametrize("replay", [0, 1])
def test_n1_who_subscribes_while_another_thread_sends_misses_nothing(
    monkeypatch: pytest.MonkeyPatch, replay: int
) -> None:
    topic: Topic[int] = Topic(limit=2, replay=1)
    before(monkeypatch, Subscription, "__init__", partial(send_ready, topic, 3))
    topic._subscriptions = Registering(partial(send_ready, topic, 2))
    reader = topic.subscribe(replay=replay)
    assert topic.published > 2
    send_ready(topic, 3)
    assert reader.lag == 2
    last = topic.published - 1
    assert [reader.receive_nowait(), reader.receive_nowait()] == [last - 1, last]


@pytest.mark.parametrize("replay", [0, 2])
def test_n1_a_subscription_that_comes_while_another_looks_for_the_slowest_holds_up_all(
    monkeypatch: pytest.MonkeyPatch, replay: int
) -> None:
    topic: Topic[int] = Topic(limit=4, replay=2)
    send_ready(topic, 4)
    look = Topic.subscriptions
    late: list[Subscription[int]] = []

    def look_slowly(topic: Topic[int]) -> list[Subscription[int]]:
        found = look(topic)
        monkeypatch.undo()
        late.append(topic.subscribe(replay=replay))
        # As another does who sends to a topic that has readers in common with this one.
        assert topic._senders.room(topic, [], print)
        topic.publish(4)
        return found

    monkeypatch.setattr(Topic, "subscriptions", look_slowly)
    send_ready(topic, 8)
    assert late[0].lag == 4
    assert late[0].receive_nowait() == 4 - replay


def test_n4_a_message_that_another_thread_is_about_to_link_takes_a_place() -> None:
    topic: Topic[int] = Topic(limit=2)
    reader = topic.subscribe()
    del topic._turn.free
    for number in range(2):
        topic.send_blocking(number, timeout=0)
    assert topic.published == 0
    with pytest.raises(TimeoutError):
        topic.send_blocking(2, timeout=0)
    topic._turn.free = True
    assert [reader.receive_nowait(), reader.receive_nowait()] == [0, 1]
    topic.send_blocking(3, timeout=0)
    assert reader.receive_nowait() == 3


def test_who_reads_on_in_the_moment_in_which_it_would_be_cut_off_is_not() -> None:
    class ReadsOn:
        """A reader whose number is a greater one whenever it is looked at again."""

        def __init__(self) -> None:
            self._link: Link[int] = Link()
            self._link.value = 1
            self._link.next = Link()
            self.numbers = iter([0, 1])

        @property
        def _seq(self) -> int:
            return next(self.numbers)

    reader = ReadsOn()
    topic: Any = SimpleNamespace(subscriptions=lambda: [reader], _places=set())
    Topic[int]()._limits._cut_before(1, Gap(Milestone()), topic)
    assert reader._link.value == 1
    assert next(reader.numbers, None) is None  # it was looked at twice


def test_asyncio_runs_the_caller_although_trio_is_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def where() -> str | None:
        monkeypatch.setattr(trio.lowlevel, "in_trio_task", lambda: True)
        return event_loop_here()

    assert asyncio.run(where()) == "asyncio"


def test_j4_who_was_woken_when_the_subscription_is_closed_is_not_woken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[AsyncioWaiter] = []
    monkeypatch.setattr(AsyncioWaiter, "run", woken.append)

    async def scenario() -> None:
        topic: Topic[int] = Topic()
        reader = topic.subscribe()
        task = asyncio.create_task(reader.receive())
        await asyncio.sleep(0)
        assert reader._reading
        topic.publish(1)
        reader.close()
        with pytest.raises(anyio.ClosedResourceError):
            await task

    asyncio.run(scenario())
    assert woken == []


class Cancelled(Future[None]):
    """A future whose callback is taken away by somebody else in the moment before."""

    def remove_done_callback(self, callback: Any, /) -> int:
        super().remove_done_callback(callback)
        return 0


class Interrupted(Future[None]):
    """A future with which an interruption comes just after its callback was taken back."""

    def remove_done_callback(self, callback: Any, /) -> int:
        super().remove_done_callback(callback)
        raise KeyboardInterrupt


class Task:
    """Somebody who waits for a future, and counts how often it is woken."""

    def __init__(self, future: Future[None]) -> None:
        self._fut_waiter = future
        self.woken = 0
        future.add_done_callback(self.wakeup, context=copy_context())

    def wakeup(self, _: Future[None]) -> None:
        """Go on."""
        self.woken += 1


def waiting(future: type[Future[None]]) -> tuple[AsyncioWaiter, Task]:
    """Return a task that waits for such a future."""
    waiter = AsyncioParking(deque(), asyncio.get_running_loop()).waiter()
    waiter.future = future()
    return waiter, Task(waiter.future)


def test_j4_who_is_cancelled_just_before_is_not_woken() -> None:
    async def scenario() -> None:
        waiter, task = waiting(Cancelled)
        waiter.run()
        assert task.woken == 0

        waiter, task = waiting(Cancelled)
        topic: Topic[int] = Topic()
        reader = topic.subscribe()
        topic.publish(1)
        waiter.parking.parked[waiter] = reader
        waiter.parking.resume()
        assert task.woken == 0

    asyncio.run(scenario())


def test_k4_who_was_not_woken_because_of_an_interruption_still_waits() -> None:
    async def scenario() -> None:
        waiter, task = waiting(Interrupted)
        with pytest.raises(KeyboardInterrupt):
            waiter.run()
        assert task.woken == 0
        assert waiter.future._callbacks

    asyncio.run(scenario())


def test_an_error_of_an_event_loop_that_is_open_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, context: Context) -> None:
        raise RuntimeError("too busy")

    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "call_soon_threadsafe", refuse)
    with pytest.raises(RuntimeError, match="too busy"):
        AsyncioParking(deque(), loop).call()
    loop.close()


def test_a_thread_is_called_although_another_came_in_this_moment() -> None:
    class Changing(dict[Any, Any]):
        changed = False

        def __iter__(self) -> Any:
            if not self.changed:
                self.changed = True
                raise RuntimeError("dictionary changed size during iteration")
            return super().__iter__()

    parking = ThreadParking(deque())
    waiter = parking.waiter()
    parking.parked = Changing({waiter: Topic[int]().subscribe()})
    parking.call()
    assert not waiter._lock.locked()
    parking.call()  # as it is called again before the thread runs
    assert not waiter._lock.locked()


def test_a_thread_that_gives_up_in_the_moment_in_which_it_is_woken_is_left_alone() -> None:
    waiter = ThreadParking(deque()).waiter()
    assert waiter._lock.locked()
    waiter.wake()  # after it was found among those that wait
    assert waiter._lock.locked()


def test_a_task_that_was_called_for_another_message_waits_on() -> None:
    async def scenario() -> None:
        waiter, task = waiting(Future)
        waiter.parking.parked[waiter] = Topic[int]().subscribe()
        waiter.parking.resume()
        assert task.woken == 0
        assert waiter in waiter.parking.parked

    asyncio.run(scenario())


def test_a_forked_child_has_none_of_the_threads_that_waited() -> None:
    parking = ThreadParking(deque())
    parking.parked[parking.waiter()] = Topic[int]().subscribe()
    _clear_all()
    assert not parking.parked


def test_a_forked_child_has_none_of_the_threads_that_sent() -> None:
    topic: Topic[int] = Topic(limit=16)
    other = Thread(target=lambda: topic._sender().enter())
    other.start()
    other.join()
    own = topic._sender()
    own.enter()
    _forget_others()
    assert list(topic._senders.queue) == [own]


def test_a_forked_child_has_all_turns_free() -> None:
    turn = Turn()
    del turn.free
    _free_all()
    del turn.free


@pytest.mark.parametrize("send", SEND.values(), ids=SEND)
def test_n3_a_sender_that_is_interrupted_while_it_leaves_has_left(
    monkeypatch: pytest.MonkeyPatch, send: Callable[[Topic[int]], None]
) -> None:
    topic: Topic[int] = Topic(limit=16)
    before(monkeypatch, Sender, "leave", interrupt)
    with pytest.raises(KeyboardInterrupt):
        send(topic)
    assert not topic._senders.queue
    assert topic.published == 1


def test_a_place_of_one_past_is_not_that_of_another() -> None:
    topic: Topic[int] = Topic()
    topic.subscribe().park(60)
    with pytest.raises(PositionLost, match="of another topic"):
        topic.subscribe(since=Position("another", 0))


def test_who_left_in_a_past_goes_on_there() -> None:
    topic: Topic[int] = Topic()
    topic.publish(1)
    past: Past[int] = Past()
    past.epoch, past.value, past.time = "past", 1, monotonic()
    past.next = topic._end[0]
    topic._park(Place(past, 0, 60))
    reader = topic.subscribe(since=Position("past", 1))
    with pytest.raises(PositionLost):
        topic.subscribe(since=Position("past", 2))
    topic.publish(2)
    assert reader.receive_nowait() == 2


def test_a_position_to_which_the_way_was_just_cut_off_is_lost() -> None:
    topic: Topic[int] = Topic(replay=4)
    topic.publish_many([1, 2])
    seek = topic._limits.seek

    def cut_and_seek(start: Hold, seq: int, far: Any) -> tuple[Hold, int]:
        start.link.next = Gap(topic._end[0])  # type: ignore[arg-type]
        return seek(start, seq, far)

    topic._limits.seek = cut_and_seek
    with pytest.raises(PositionLost) as lost:
        topic.subscribe(since=Position(topic._epoch, 1))
    assert lost.value.missed == 1


@pytest.mark.parametrize("view", [False, True], ids=["messages", "subscription"])
def test_who_waits_for_a_message_that_is_too_old_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch, *, view: bool
) -> None:
    async def scenario() -> None:
        topic: Topic[int] = Topic()
        reader = topic.subscribe(max_lag_seconds=50, on_lag="skip")

        def later() -> float:
            monkeypatch.undo()
            asyncio.get_running_loop().call_soon(topic.publish, 2)
            return monotonic() + 100

        topic.publish(1)
        monkeypatch.setattr(tolerance, "monotonic", later)
        if view:
            assert (await anext(reader.messages())).value == 2
        else:
            assert await reader.receive() == 2
        assert (reader.received, reader.missed) == (1, 1)

    asyncio.run(scenario())


def test_t1_what_was_missed_before_an_interruption_is_told_after_it() -> None:
    topic: Topic[int] = Topic(limit=1)
    reader = topic.subscribe()
    for number in range(10):
        topic.publish(number)
    reader._miss()
    with pytest.raises(Lagged) as lagged:
        reader.receive_nowait()
    assert lagged.value.missed == reader.missed > 0


def test_how_old_a_message_may_be_can_be_set() -> None:
    reader = Topic[int]().subscribe()
    reader.max_lag_seconds = 2
    assert reader.max_lag_seconds == reader.statistics().lag_seconds + 2


def test_k5_a_topic_that_could_not_be_closed_for_want_of_memory_is_open() -> None:
    class Full(deque[Any]):
        def append(self, _: Any, /) -> None:
            raise MemoryError

    topic: Topic[int] = Topic()
    reader = topic.subscribe()
    inbox, topic._inbox = topic._inbox, Full()
    with pytest.raises(MemoryError):
        topic.close()
    topic._inbox = inbox
    topic.publish(1)
    assert reader.receive_nowait() == 1


def test_k2_a_message_that_could_not_be_linked_for_want_of_memory_is_linked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhaust() -> None:
        raise MemoryError

    topic: Topic[int] = Topic()
    reader = topic.subscribe()
    before(monkeypatch, Topic, "_link_all", exhaust)
    topic.publish(1)
    assert topic.published == 0
    assert reader.receive_nowait() == 1
