"""What one client received, how late, and what it missed; and a table of many clients."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from examples.broadcast.stamp import read_stamp


@dataclass(slots=True)
class Received:
    """What one client received."""

    name: str
    slow: bool = False
    messages: int = 0
    numbers: list[int] = field(default_factory=list)  # of the messages with a stamp, as they came
    latencies: list[float] = field(default_factory=list)  # seconds, same order
    ending: str = "left"

    def take(self, frame: str) -> None:
        """Note one frame; several messages in one frame stand on lines of their own."""
        now = time.time()
        for message in frame.split("\n"):
            self.messages += 1
            if stamped := read_stamp(message):
                self.numbers.append(stamped.number)
                self.latencies.append(now - stamped.time)

    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each gap since the first message, in order."""
        numbers = sorted(set(self.numbers))
        return [(low + 1, high - 1) for low, high in pairwise(numbers) if high - low > 1]

    @property
    def missed(self) -> int:
        """Messages missed between the first and the last one received."""
        return sum(last - first + 1 for first, last in self.gaps())

    @property
    def disordered(self) -> int:
        """How often a message came after a later one, or twice."""
        return sum(high <= low for low, high in pairwise(self.numbers))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of ``values`` that at least ``percent`` of them do not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values, so no percentile")
    rank = -(-len(values) * percent // 100)  # rounded up
    return sorted(values)[max(int(rank), 1) - 1]


def report(clients: Sequence[Received]) -> Iterator[str]:
    """The lines of a table: fast and slow clients, then whoever did not get everything."""
    yield (
        f"{'':6}{'clients':>8}{'messages':>10}{'missed':>8}"
        f"{'p50':>11}{'p90':>11}{'p99':>11}{'max':>11}   latency"
    )
    for title, slow in (("fast", False), ("slow", True)):
        if members := [client for client in clients if client.slow is slow]:
            yield _row(title, members)
    if not any(client.numbers for client in clients):
        yield "No number and time in the messages: start the server with --timestamp."
        return
    newest = max(client.numbers[-1] for client in clients if client.numbers)
    for client in clients:
        yield from _faults(client, newest)


def _row(title: str, clients: Sequence[Received]) -> str:
    shown = f"{'-':>11}" * 4
    if latencies := [latency for client in clients for latency in client.latencies]:
        figures = (percentile(latencies, percent) * 1000 for percent in (50, 90, 99, 100))
        shown = "".join(f"{figure:>8.1f} ms" for figure in figures)
    messages = sum(client.messages for client in clients)
    missed = sum(client.missed for client in clients)
    return f"{title:6}{len(clients):>8}{messages:>10}{missed:>8}{shown}"


def _faults(client: Received, newest: int) -> Iterator[str]:
    """One line for each thing that went wrong for one client."""
    if gaps := client.gaps():
        yield f"{client.name} missed {client.missed}: {_ranges(gaps)}"
    if client.disordered:
        yield f"{client.name} got {client.disordered} messages twice or out of order"
    if behind := newest - (client.numbers[-1] if client.numbers else 0):
        yield f"{client.name} was {behind} messages behind at the end ({client.ending})"


def _ranges(gaps: Iterable[tuple[int, int]], most: int = 5) -> str:
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in gaps]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if shown[most:] else "")
