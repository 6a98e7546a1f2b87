"""What one client received, how late, and what it missed; and a table of many clients."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from examples.broadcast.stamp import read_stamp
from examples.broadcast.terms import Account, read_missed


@dataclass(slots=True)
class Received:
    """What one client received."""

    name: str
    asked: str = ""  # the query of its address
    slow: bool = False
    messages: int = 0
    told: list[int] = field(default_factory=list)  # how many it missed, as it was told in between
    account: Account | None = None  # as the server rendered it at the end
    numbers: list[int] = field(default_factory=list)  # of the messages with a stamp, as they came
    latencies: list[float] = field(default_factory=list)  # seconds, same order
    ending: str = "left"

    def take(self, frame: str | bytes) -> None:
        """Note one frame; several messages in one frame stand on lines of their own."""
        now = time.time()
        if isinstance(frame, bytes):
            self.told.append(read_missed(frame))
            return
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
        """Messages that it did not get between the first and the last one received."""
        return sum(last - first + 1 for first, last in self.gaps())

    @property
    def accounted(self) -> int:
        """Messages that it received, counted here, and those it did not, counted by the server."""
        account = self.account
        return self.messages + (account.missed + account.skipped + account.lag if account else 0)

    @property
    def adds_up(self) -> bool:
        """Whether that is all that was published, so that nothing was lost without being told."""
        return self.account is not None and self.accounted == self.account.published

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
        f"{'':6}{'clients':>8}{'messages':>10}{'in gaps':>8}"
        f"{'p50':>11}{'p90':>11}{'p99':>11}{'max':>11}   latency"
    )
    for title, slow in (("fast", False), ("slow", True)):
        if members := [client for client in clients if client.slow is slow]:
            yield _row(title, members)
    if any(client.account for client in clients):
        yield from ("", *account_table(clients), "")
    if not any(client.numbers for client in clients):
        yield from (f"{each.name}: {each.ending}" for each in clients if not each.messages)
        yield "No number and time in the messages: start the server with --timestamp."
        return
    newest = max(client.numbers[-1] for client in clients if client.numbers)
    for client in clients:
        yield from _faults(client, newest)


def account_table(clients: Sequence[Received], most: int = 20) -> Iterator[str]:
    """The lines of a table: what became of all that was published while a client was there."""
    columns = ("received", "missed", "skipped", "lag", "sum", "published")
    yield f"{'':8}{'asked for':27}" + "".join(f"{column:>10}" for column in columns)
    for client in clients[:most]:
        figures = f"{client.messages:>10}" + 5 * f"{'?':>10}"
        if account := client.account:
            numbers = (account.missed, account.skipped, account.lag, client.accounted)
            figures = "".join(f"{each:>10}" for each in (client.messages, *numbers))
            figures += f"{account.published:>10}"
        yield f"{client.name:8}{client.asked or '-':27}{figures}   {_note(client)}".rstrip()
    if more := clients[most:]:
        yield f"and {len(more)} more"
    wrong = [client.name for client in clients if client.account and not client.adds_up]
    if wrong:
        yield f"DOES NOT ADD UP: {', '.join(wrong)}"
    else:
        yield "It adds up: received + missed + skipped + lag = published since the client joined."


def _note(client: Received) -> str:
    if client.told:
        return f"told {len(client.told)} times: {sum(client.told)}"
    return "" if client.ending.endswith(" 1000") else client.ending


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
    if client.account is None and (gaps := client.gaps()):
        yield f"{client.name} missed {client.missed}: {_ranges(gaps)}"
    if client.disordered:
        yield f"{client.name} got {client.disordered} messages twice or out of order"
    if behind := newest - (client.numbers[-1] if client.numbers else 0):
        yield f"{client.name} was {behind} messages behind at the end ({client.ending})"


def _ranges(gaps: Iterable[tuple[int, int]], most: int = 5) -> str:
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in gaps]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if shown[most:] else "")
