"""What does a name or a pattern add to one `publish()`?

First on one topic: publishing by name, past patterns that do not match and into some that do, and
on names that are new each time. Then with more and more topics, while subscriptions to patterns
come and go: each of these changes which patterns a topic has to look for, at its next message.

With many topics, each has left the processor's caches when its turn comes again. To tell this
apart from work that grows, a control goes round as many plain topics in a dictionary, while the
same subscriptions come and go on a bus of which nobody else knows.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, cycle, islice, product, repeat
from time import thread_time_ns
from typing import NamedTuple

from driftline import Bus, Topic

from .audience import Miscount
from .measure import Table, Track, interleave, ratios, spread

PATTERNS = 1_000


class Reader:
    """A subscription to a pattern, which is read when nothing is timed."""

    def __init__(self, bus: Bus, pattern: str) -> None:
        self.subscription = bus.subscribe(pattern)
        self.expected: list[int] = []

    def catch_up(self) -> None:
        """Receive all there is; raise `Miscount` unless it is exactly what was to come."""
        received: list[int] = []
        batches = self.subscription.batches()
        while self.subscription.lag:
            received += next(batches)
        if received != self.expected:
            pattern = self.subscription.topic.name
            raise Miscount(f"{pattern} has not received exactly what matches it")
        self.expected.clear()


# One topic.

NAME = "orders.eu.created"
MATCHING = ["orders.*.created", "orders.>", "*.eu.*"]
OTHERS = [f"orders.*.step{number}" for number in range(PATTERNS)]

PLAIN = "Topic.publish"
HELD = "bus.topic(name), then topic.publish"
NAMED = "bus.publish"
PASSING = f"bus.publish, {PATTERNS:,} patterns, none matches"
MATCHED = f"bus.publish, {PATTERNS:,} patterns, {len(MATCHING)} match"
NEW = "bus.publish, a new name each time"
NEW_MATCHED = "bus.publish, a new name each time, 1 pattern, which matches"
BARS = {NAMED: "1.5x", MATCHED: "4x"}


def on_topic(topic: Topic[int], publishes: int) -> float:
    """Return the microseconds of one publish on a topic at hand."""
    publish = topic.publish
    before = topic.published
    begin = thread_time_ns()
    for value in range(publishes):
        publish(value)
    end = thread_time_ns()
    if topic.published - before != publishes:
        raise Miscount(f"{topic.published - before} of {publishes} messages were published")
    return (end - begin) / publishes / 1000


class Named:
    """A bus on which messages are published by name, and the readers of its patterns."""

    def __init__(
        self, names: Iterator[str], matching: Sequence[str], others: Sequence[str]
    ) -> None:
        self.names = names
        self.bus = Bus()
        self.topic = self.bus.topic(NAME)  # which holds it
        self.published = 0
        self.matching = [Reader(self.bus, pattern) for pattern in matching]
        self.others = [Reader(self.bus, pattern) for pattern in others]

    def publish(self, publishes: int) -> float:
        """Return the microseconds of one publish."""
        names = list(islice(self.names, publishes))
        publish = self.bus.publish
        begin = thread_time_ns()
        for value, name in enumerate(names):
            publish(name, value)
        end = thread_time_ns()
        self.published += publishes
        published = self.bus.statistics().published
        if published != self.published:
            raise Miscount(f"{published} of {self.published} messages were published")
        for reader in self.matching:
            reader.expected.extend(range(publishes))
        for reader in (*self.matching, *self.others):
            reader.catch_up()
        return (end - begin) / publishes / 1000


def new_names() -> Iterator[str]:
    """Return names of which none comes twice."""
    return (f"orders.eu.{number}" for number in count())


def one_topic(quick: bool) -> Table:
    """Measure every way to publish a message on one topic."""
    publishes, rounds = (300, 2) if quick else (1_000, 25)
    held = Bus()
    named = {
        NAMED: Named(repeat(NAME), [], []),
        PASSING: Named(repeat(NAME), [], OTHERS),
        MATCHED: Named(repeat(NAME), MATCHING, OTHERS[len(MATCHING) :]),
        NEW: Named(new_names(), [], []),
        NEW_MATCHED: Named(new_names(), ["orders.>"], []),
    }
    turns: dict[str, Callable[[], float]] = {
        PLAIN: partial(on_topic, Topic[int](NAME), publishes),
        HELD: partial(on_topic, held.topic(NAME, int), publishes),
        **{name: partial(bus.publish, publishes) for name, bus in named.items()},
    }
    interleave(turns, 1)  # Not counted: the first messages meet cold code, and make topics.
    results = interleave(turns, rounds)
    return Table(
        "Microseconds for one publish(), by topic and by name",
        [
            "Driftline only: one bus for each row, published to in one thread, no event loop.",
            "The ratio is to Topic.publish; at most: what it is meant to stay below.",
            "The topic is held, except where names are new.",
            "Of each pattern there is one reader. They catch up after each turn, outside the "
            "timing; what each has received is compared with what was published.",
            "a new name each time: a topic is made for it, and the bus, which keeps the last "
            "1,000, lets go of another.",
            f"Each turn is the mean of {publishes:,} publishes in processor time of the thread, "
            f"which others hardly change; shown: median and [lowest-highest] of {rounds} "
            "interleaved rounds.",
        ],
        ["published by", "us", "ratio", "at most"],
        [
            [name, spread(taken), spread(ratios(taken, results[PLAIN]), "x"), BARS.get(name, "-")]
            for name, taken in results.items()
        ],
        results,
    )


# More and more topics.

REGIONS = PATTERNS
NEVER = "none"
COMING_AND_GOING = {NEVER: 0, "per 100 publishes": 100, "per publish": 1}


class Place(NamedTuple):
    """A topic by name, and the number of the only pattern that matches it."""

    name: str
    region: int


class Many:
    """Topics of a bus, and as many plain ones, which are published to one after the other."""

    def __init__(self, topics: int) -> None:
        self.places = [
            Place(f"region{number % REGIONS}.item{number}", number % REGIONS)
            for number in range(topics)
        ]
        self.bus = Bus()
        self.held = [self.bus.topic(place.name) for place in self.places]
        self.plain = {place.name: Topic[int](place.name) for place in self.places}

    def publish_plain(self, name: str, value: int) -> None:
        self.plain[name].publish(value)

    def turn(self, patterns: int, every: int, publishes: int) -> float:
        """Return the microseconds of one publish on the bus."""
        readers = [Reader(self.bus, f"region{number}.*") for number in range(patterns)]
        return self._go_round(self.bus.publish, readers, self.bus, every, publishes)

    def control(self, every: int, publishes: int) -> float:
        """Return the microseconds of one publish on a plain topic from the dictionary."""
        return self._go_round(self.publish_plain, [], Bus(), every, publishes)

    def _go_round(
        self,
        publish: Callable[[str, int], None],
        readers: Sequence[Reader],
        visited: Bus,
        every: int,
        publishes: int,
    ) -> float:
        # Once round before, so that every topic knows the patterns, and the first is cold again.
        places = [*self.places, *islice(cycle(self.places), publishes)]
        for value, place in enumerate(places):
            if readers:
                readers[place.region].expected.append(value)
        messages = [(place.name, value) for value, place in enumerate(places)]
        for name, value in messages[:-publishes]:
            publish(name, value)
        visitors: list[Reader] = []
        spent = 0
        for begin in range(len(self.places), len(messages), every or publishes):
            if every:
                for visitor in visitors:
                    visitor.catch_up()
                    visitor.subscription.close()
                visitors = [Reader(visited, f"visitor{begin}.*")]
            piece = messages[begin : begin + (every or publishes)]
            # What it takes to read the clock is seen beside each piece, and taken off.
            before = thread_time_ns()
            start = thread_time_ns()
            for name, value in piece:
                publish(name, value)
            spent += thread_time_ns() - start - (start - before)
        for reader in (*readers, *visitors):
            reader.catch_up()
        return spent / publishes / 1000


class Size(NamedTuple):
    """How many topics there are, and how often each cell is measured."""

    topics: int
    rounds: int


FULL = [Size(1, 7), Size(1_000, 7), Size(100_000, 3)]
QUICK = [Size(1, 1), Size(300, 1)]


def many_topics(track: Track, quick: bool) -> Table:
    """Measure publishing with every number of topics and patterns."""
    publishes, sizes = (200, QUICK) if quick else (1_000, FULL)
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    one = Many(1)
    for size in track(sizes, "bus cost"):
        many = Many(size.topics)
        cells = list(product((0, PATTERNS), COMING_AND_GOING))
        turns = {
            "one topic": partial(one.turn, 0, 0, publishes),
            **{
                f"{patterns} patterns, {going}": partial(
                    many.turn, patterns, COMING_AND_GOING[going], publishes
                )
                for patterns, going in cells
            },
            **{
                f"plain, {going}": partial(many.control, every, publishes)
                for going, every in COMING_AND_GOING.items()
            },
        }
        # Before each turn the garbage is collected, and the topics need not be gone through.
        gc.freeze()
        results = interleave(turns, size.rounds)
        gc.unfreeze()
        for patterns, going in cells:
            taken = results[f"{patterns} patterns, {going}"]
            plain = results[f"plain, {going}"]
            rows.append([
                f"{size.topics:,}" if (patterns, going) == (0, NEVER) else "",
                f"{patterns:,}" if going == NEVER else "",
                going,
                spread(taken),
                spread(ratios(taken, results["one topic"]), "x"),
                spread(plain),
                spread(ratios(taken, plain), "x"),
            ])  # fmt: skip
        samples |= {f"{size.topics} topics, {name}": taken for name, taken in results.items()}
    return Table(
        "Microseconds for one publish(), with many topics and patterns",
        [
            "One bus, all of whose topics are held and published to by name, one after the other, "
            "in one thread, no event loop.",
            f"patterns: of {PATTERNS:,}, one matches each topic, so that each message goes into "
            "one chain more. Each pattern has a reader, which catches up outside the timing; what "
            "it has received is compared with what was published.",
            "coming and going: that often somebody subscribes to a pattern that nobody else has, "
            "and the last one to do so leaves, outside the timing.",
            "to one topic: without patterns, and nobody coming and going.",
            "control: plain topics, as many, in a dictionary by name; who comes and goes does so "
            "on a bus that has no topics.",
            f"Each turn is the mean of {publishes:,} publishes in processor time of the thread, "
            "without what it takes to read the clock; shown: median and [lowest-highest] of "
            + ", ".join(f"{size.rounds}" for size in sizes)
            + " interleaved rounds.",
        ],
        [
            "topics",
            "patterns",
            "coming and going",
            "us",
            "to one topic",
            "control, us",
            "to the control",
        ],
        rows,
        samples,
    )


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure one topic, and then many."""
    [first] = [one_topic(quick) for _ in track([None], "bus cost, one topic")]
    return [first, many_topics(track, quick)]
