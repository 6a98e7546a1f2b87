"""The invariants of the core, checked on a topic at rest: no thread is just publishing or reading.

Nothing in driftline calls this, because it walks the whole chain. Tests do, after every step. The
numbers are those of the essays in `link`, `topic`, `subscription`, `limits` and `tolerance`.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

from driftline._core.link import CLOSED, END, Gap, Link, Milestone
from driftline._core.subscription import Subscription
from driftline._core.topic import Topic

Numbers = dict[Link[Any], int]


def check(topic: Topic[Any]) -> None:
    """Assert the invariants of a topic and of all that stand in it."""
    end, published = topic._end
    assert hasattr(topic._turn, "free"), "K1: somebody has the turn"
    assert not topic._inbox, "K2: a message was not linked"
    assert end.next is (END if topic._closing else None), "I2: the end of the chain"
    assert type(end) is not Gap, "I2: the end is a gap"
    numbers: Numbers = {}
    for reference in topic._subscriptions.copy():
        subscription = reference()
        if subscription is not None:
            _check_subscription(subscription)
            if not subscription.closed:
                _check_from(subscription._link, subscription._seq, topic, numbers)
    for place in topic._places.copy():
        _check_from(place._link, place._seq, topic, numbers)
    replay = topic._replay
    if replay is not None:
        link, seq = replay.place
        assert published - seq <= replay.messages, "replay: more is kept than was asked for"
        assert not isinstance(link.next, Gap), "replay: what it keeps was cut off"
        _check_from(link, seq, topic, numbers)
    _check_milestones(topic, numbers)


def _check_subscription(subscription: Subscription[Any]) -> None:
    counters = (subscription._received, subscription._missed, subscription._skipped)
    assert min(counters) >= 0, "S2: a counter is negative"
    moved = subscription.position.seq - subscription._start
    assert sum(counters) == moved, "S2: the counters do not add up"
    assert subscription.closed == (subscription._link is CLOSED), "S1: closed is to stand at CLOSED"
    assert subscription.lag >= 0, "K3: lag is negative"
    assert 0 <= subscription._untold <= subscription._missed, "T1: untold, and not missed"
    own = subscription._max_lag, subscription._max_lag_seconds, subscription._max_lag_bytes
    assert (subscription._mask == 0) == (min(own) < inf), "T2: it looks when it need not, or not"


def _check_from(link: Link[Any], seq: int, topic: Topic[Any], numbers: Numbers) -> None:
    """Walk from a place to the end, or to where an earlier walk has been."""
    end, published = topic._end
    assert seq <= published, "K3: a place is ahead of what was published"
    gap = link.next
    if isinstance(gap, Gap):
        assert not hasattr(link, "value"), "I1: a link was cut, and kept its message"
        assert topic._limits._gap is not None, "L: a gap without a cut"
        assert gap is topic._limits._gap(), "L: two gaps in one topic"
        assert gap.kept.seq > seq, "L2: a reader was cut that is not behind what is kept"
        link, seq = gap.kept, gap.kept.seq
    while link not in numbers:
        numbers[link] = seq
        if isinstance(link, Milestone):
            assert link.seq == seq, f"a milestone says {link.seq}, and is {seq}"
        if link is end:
            break
        following = link.next
        assert following, f"I2: the chain breaks off at {seq} of {published}"
        assert hasattr(link, "value"), f"I1: message {seq + 1} is not there"
        assert link.before <= following.before, "I3: the sizes decrease"
        assert following is end or link.time <= following.time, "I3: the time decreases"
        link, seq = following, seq + 1
    assert numbers[link] == seq, f"S2: one link has two numbers, {numbers[link]} and {seq}"
    assert link is not end or seq == published, f"S2: the end is {seq}, not {published}"


def _check_milestones(topic: Topic[Any], numbers: Numbers) -> None:
    marks = list(topic._limits.milestones._marks)
    assert all(one[0] < other[0] for one, other in pairwise(marks)), "milestones: not in order"
    for seq, reference in marks:
        milestone = reference()
        if milestone is not None:
            assert milestone.seq == seq, "milestones: remembered with another number"
            assert numbers.get(milestone, seq) == seq, "milestones: at another place"
