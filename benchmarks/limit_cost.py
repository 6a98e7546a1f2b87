"""What does a limit, or a replay, add to one `publish()`?

Most publishes do nothing for a limit, and one of every so many does it all. So what is timed is
many in a row, in turns that are short and many, and what counts is the ratio within each round.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from time import perf_counter_ns, thread_time_ns
from typing import NamedTuple

from driftline import Topic

from .audience import Miscount, check_counts
from .measure import Table, Track, interleave, ratios, spread

PAYLOAD = bytes(128)
NO_LIMIT = "no limit"
SIZED = "no limit, with sizeof"
MADE: dict[str, Callable[[], Topic[bytes]]] = {
    NO_LIMIT: partial(Topic, "benchmark"),
    "limit=10_000": partial(Topic, "benchmark", limit=10_000),
    "limit=100": partial(Topic, "benchmark", limit=100),
    "limit=1": partial(Topic, "benchmark", limit=1),
    "limit_seconds=60": partial(Topic, "benchmark", limit_seconds=60),
    "replay=1000": partial(Topic, "benchmark", replay=1000),
    SIZED: partial(Topic[bytes], "benchmark", sizeof=len),
    "limit_bytes=1_280_000": partial(Topic[bytes], "benchmark", sizeof=len, limit_bytes=1_280_000),
}
"""What is measured. That with bytes is compared with the one before, all others with the first."""


def nobody(make: Callable[[], Topic[bytes]], messages: int) -> float:
    """Return the microseconds of one publish that nobody reads."""
    topic = make()
    publish = topic.publish
    begin = thread_time_ns()
    for _ in range(messages):
        publish(PAYLOAD)
    end = thread_time_ns()
    if topic.published != messages:
        raise Miscount(f"{topic.published} of {messages} messages were published")
    return (end - begin) / messages / 1000


def reads_each(make: Callable[[], Topic[bytes]], messages: int) -> float:
    """Return the microseconds of one publish, when one reader takes each message at once."""
    topic = make()
    publish = topic.publish
    subscription = topic.subscribe()
    receive = subscription.receive_nowait
    spent = received = 0
    for _ in range(messages):
        begin = perf_counter_ns()
        publish(PAYLOAD)
        spent += perf_counter_ns() - begin
        received += receive() is PAYLOAD
    if received != messages or subscription.lag:
        raise Miscount(f"{received} of {messages} messages were received")
    return spent / messages / 1000


def stalls(make: Callable[[], Topic[bytes]], messages: int) -> float:
    """Return the microseconds of one publish, when the only reader does not read."""
    topic = make()
    publish = topic.publish
    subscription = topic.subscribe(on_lag="skip")
    begin = thread_time_ns()
    for _ in range(messages):
        publish(PAYLOAD)
    end = thread_time_ns()
    kept = 0
    while subscription.lag:
        kept += subscription.receive_nowait() is PAYLOAD
    check_counts(subscription, kept)
    if not kept or subscription.position.seq != messages:
        raise Miscount(f"{kept} messages were kept, up to {subscription.position.seq}")
    return (end - begin) / messages / 1000


class Column(NamedTuple):
    """How the topic is read, how much is published in one turn, and how often."""

    name: str
    measure: Callable[[Callable[[], Topic[bytes]], int], float]
    messages: int
    rounds: int


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every topic with every reader."""
    columns = [
        Column("nobody reads", nobody, 1_000 if quick else 3_000, 1 if quick else 21),
        Column("one reads each at once", reads_each, 1_000 if quick else 3_000, 1 if quick else 21),
        Column("one has stalled", stalls, 10_500 if quick else 30_000, 1 if quick else 9),
    ]
    results: dict[str, dict[str, list[float]]] = {}
    for column in track(columns, "limit cost"):
        turns = {
            name: partial(column.measure, make, column.messages) for name, make in MADE.items()
        }
        results[column.name] = interleave(turns, column.rounds)
    rows = []
    samples: dict[str, object] = {}
    for name in MADE:
        row: list[str] = [name]
        for column in columns:
            taken: dict[str, list[float]] = results[column.name]
            base = taken[SIZED if "bytes" in name else NO_LIMIT]
            row += [spread(taken[name]), spread(ratios(taken[name], base), "x")]
            samples[f"{name}, {column.name}"] = taken[name]
        rows.append(row)
    headings = product([column.name for column in columns], ("us", "ratio"))
    return [
        Table(
            "Microseconds for one publish(), with a limit and without",
            [
                "Driftline only: one topic, published to in one thread, no event loop.",
                "The ratio is to no limit; that of limit_bytes is to no limit with sizeof.",
                "Processor time of the thread, which others hardly change; but elapsed "
                "time for one that reads each at once, where the clock is read for each message.",
                "one reads each at once: `receive_nowait` after each publish, which is not timed; "
                "reading the clock, some 0.05 microseconds, is.",
                'one has stalled: a subscription with `on_lag="skip"` that reads only at the end; '
                "without a limit it keeps all messages, with one up to the limit.",
                "Each turn is the mean of "
                + ", ".join(f"{column.messages:,}" for column in columns)
                + " publishes; shown: median and [lowest-highest] of "
                + ", ".join(f"{column.rounds}" for column in columns)
                + " interleaved rounds. What else the machine did is in the brackets.",
            ],
            ["topic", *(f"{reader}: {unit}" for reader, unit in headings)],
            rows,
            samples,
        )
    ]
