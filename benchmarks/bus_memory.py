"""Does a bus need more memory after many names, or many subscriptions to patterns?

Names that nobody holds are published to, with a reader of a pattern that matches one of ten and
without. Subscriptions to patterns, each another one, are made and dropped. Each case is a fresh
process, because a process rarely gives memory back; its resident size is taken after a first part,
in which what the bus holds for a while is filled, and then after each further part.
"""

import gc
import json
import sys
from collections.abc import Callable, Iterable

from driftline import Bus, Subscription

from .audience import Miscount
from .measure import Table, Track, in_fresh_process
from .memory import resident

PARTS = 10
FULL = 300_000
QUICK = 5_000


def names_nobody_hears(numbers: Iterable[int], bus: Bus) -> None:
    """Publish on a topic of its own each time."""
    for n in numbers:
        bus.publish(f"device.{n % 10}.{n}", n)


def names_a_pattern_matches(numbers: Iterable[int], bus: Bus) -> None:
    """Publish on a topic of its own each time, and count what a pattern gets."""
    reader: Subscription[int] = bus.subscribe("device.7.*")
    wanted = 0
    for n in numbers:
        bus.publish(f"device.{n % 10}.{n}", n)
        wanted += n % 10 == 7
        if n % 1000 == 999:
            wanted -= reader.skip(reader.lag)
    if wanted != reader.lag:
        raise Miscount(f"{wanted} more messages than the pattern got")


def patterns(numbers: Iterable[int], bus: Bus) -> None:
    """Subscribe to a pattern of its own each time, publish now and then, and drop it."""
    topic = bus.topic("device.7.x")
    for n in numbers:
        subscription: Subscription[int] = bus.subscribe(f"device.{n}.*", "device.*.x")
        if n % 100 == 0:
            topic.publish(n)
            if subscription.receive_nowait() != n:
                raise Miscount("a message did not come")


CASES: dict[str, Callable[[Iterable[int], Bus], None]] = {
    "names, published to once": names_nobody_hears,
    "names, a pattern matches one of ten": names_a_pattern_matches,
    "patterns, subscribed to and dropped": patterns,
}


def grow(case: str, total: int) -> list[int]:
    """Return the resident size after each part, the first of which is not counted."""
    bus = Bus()
    sizes: list[int] = []
    part = total // PARTS
    for start in range(-part, total, part):
        CASES[case](range(start + part, start + 2 * part), bus)
        gc.collect()
        sizes.append(resident())
    return sizes


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure every case."""
    total = QUICK if quick else FULL
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    for case in track(list(CASES), "bus memory"):
        sizes: list[int] = in_fresh_process(__name__, case, total)
        samples[case] = sizes
        grown = sizes[-1] - sizes[0]
        most = max(sizes) - sizes[0]
        rows.append(
            [
                case,
                f"{total:,}",
                f"{grown / 1024:,.0f}",
                f"{most / 1024:,.0f}",
                f"{grown / total:.2f}",
            ]
        )
    return [
        Table(
            f"Growth of a process in which {total:,} names or patterns come and go on a bus",
            [
                "Resident size, after a tenth as many that do not count: in the end, and at most.",
                "The bus itself holds the last 1,000 topics that were made by publishing.",
            ],
            ["what", "how many", "grown, KiB", "at most, KiB", "bytes each"],
            rows,
            samples,
        )
    ]


if __name__ == "__main__":
    print(json.dumps(grow(sys.argv[1], int(sys.argv[2]))))
