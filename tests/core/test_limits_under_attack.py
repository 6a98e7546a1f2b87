"""Faults that were found by attacking the limits, and `send`."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from driftline import Lagged, Topic
from driftline._core import invariants
from driftline._core.link import Milestone


def at_a_milestone(topic: Topic[Any], skipped: int) -> Any:
    subscription = topic.subscribe(name="at a milestone")
    for number in range(20_000):
        topic.publish(number)
    subscription.skip(skipped)
    while not isinstance(subscription._link, Milestone):
        subscription.skip(1)
    return subscription


async def check_a_lowered_limit() -> None:
    topic = Topic[int](limit=100_000)
    behind = topic.subscribe()
    stalled = at_a_milestone(topic, 9_600)
    topic.limit = 10
    for number in range(2_000):
        topic.publish(number)
    invariants.check(topic)
    for subscription in (behind, stalled):
        position = subscription.position.seq
        with pytest.raises(Lagged) as caught:
            subscription.receive_nowait()
        assert caught.value.missed == topic.published - position - 10


@pytest.mark.anyio
async def test_p1_p8_a_stalled_reader_at_a_milestone_stops_no_later_cut_on_an_event_loop() -> None:
    await check_a_lowered_limit()  # where what was cut off is freed in slices


def test_p1_p8_a_stalled_reader_at_a_milestone_stops_no_later_cut() -> None:
    with pytest.raises(StopIteration):
        check_a_lowered_limit().send(None)


def test_p8_who_subscribes_with_a_replay_misses_nothing_that_is_sent() -> None:
    topic = Topic[int](limit=100, replay=90)
    for number in range(250):
        topic.send_blocking(number)
    subscription = topic.subscribe(replay=90)
    for number in range(250, 260):
        topic.send_blocking(number, timeout=0)
    with pytest.raises(TimeoutError):
        topic.send_blocking(260, timeout=0)
    assert subscription.lag == 100
    assert subscription.receive_nowait() == 160


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_b9_a_forked_child_does_not_wait_behind_senders_of_its_parent() -> None:
    topic = Topic[int](limit=1)
    subscription = topic.subscribe()
    topic.publish(0)
    thread = threading.Thread(target=topic.send_blocking, args=(1,))
    thread.start()
    while not topic._senders.queue:
        time.sleep(0.001)
    child = os.fork()
    if not child:  # pragma: no cover
        try:
            subscription.receive_nowait()
            topic.send_blocking(2, timeout=10)
            os._exit(0)
        finally:
            os._exit(1)
    subscription.receive_nowait()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_c2_a_sender_that_a_signal_handler_interrupts_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = Topic[int](limit=1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    sender = topic._sender()
    del sender  # interrupted before `try`
    monkeypatch.setattr("driftline._core.senders.Sender.may_publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        topic.send_blocking(1)
    monkeypatch.undo()
    topic.send_blocking(2, timeout=0)
    assert topic.published == 1


_SMALL_STACK = """
import threading, time
from driftline import Topic

threading.stack_size(64 * 1024)
topic = Topic(limit=2_000)
done = False

def publish():
    while not done:
        topic.publish(())

thread = threading.Thread(target=publish)
thread.start()
end = time.monotonic() + 3
while time.monotonic() < end:
    subscription = topic.subscribe()
    while subscription.lag < 2_500:
        pass
    subscription.close()
done = True
thread.join()
"""


def test_c5_a_reader_that_closes_amid_a_cut_overflows_no_small_stack() -> None:
    done = subprocess.run([sys.executable, "-c", _SMALL_STACK], timeout=60, check=False)
    assert done.returncode == 0
