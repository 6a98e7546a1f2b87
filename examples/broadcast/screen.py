"""The clients of the demo: a live table on a terminal, a line per second elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One client at one moment."""

    name: str
    asked: str  # the query of its address
    received: int
    lag: int | None  # messages; None when the client has left
    lag_seconds: float | None
    lost: int | None  # missed or skipped


class View(Protocol):
    """Something that shows the clients, ten times a second."""

    def show(self, elapsed: float, phase: str, published: int, rows: Sequence[Row]) -> None:
        """Show this moment."""


@contextmanager
def open_view(output: TextIO) -> Iterator[View]:
    """A live table if ``output`` is a terminal and rich is installed, else plain lines."""
    if output.isatty():
        try:
            from rich.live import Live
        except ImportError:
            print("(with rich installed this would be a table: pip install rich)", file=output)
        else:
            with Live(auto_refresh=False) as live:
                yield _Table(live.update)
            return
    yield _Lines(output)


def _lag(row: Row) -> str:
    return "left" if row.lag is None else f"{row.lag} ({row.lag_seconds:.1f} s)"


class _Lines:
    def __init__(self, output: TextIO) -> None:
        self.output = output
        self.next = 0  # second

    def show(self, elapsed: float, phase: str, published: int, rows: Sequence[Row]) -> None:
        if elapsed < self.next:
            return
        if self.next == 0:
            names = "".join(f"{row.name:>8}" for row in rows)
            print(f"                  published  lag:{names}", file=self.output)
        self.next = int(elapsed) + 1
        lags = "".join(f"{'left' if row.lag is None else row.lag:>8}" for row in rows)
        print(
            f"{elapsed:5.1f} s  {phase:8}{published:>11}      {lags}", file=self.output, flush=True
        )


class _Update(Protocol):
    def __call__(self, renderable: "Table", *, refresh: bool) -> None: ...


class _Table:
    width = 24  # letters of the longest bar

    def __init__(self, update: _Update) -> None:
        self.update = update
        self.most = 1  # the greatest lag so far is the whole width

    def show(self, elapsed: float, phase: str, published: int, rows: Sequence[Row]) -> None:
        from rich.table import Table

        table = Table(title=f"{phase}: {published} published in {elapsed:.1f} s")
        table.add_column("client", min_width=8)
        table.add_column("asked for", min_width=24)
        for heading in ("received", "missed or skipped", "lag"):
            table.add_column(heading, justify="right", min_width=8)
        table.add_column("", min_width=self.width)
        self.most = max(self.most, *(row.lag or 0 for row in rows))
        for row in rows:
            bar = "█" * round(self.width * (row.lag or 0) / self.most)
            lost = "" if row.lost is None else str(row.lost)
            asked = row.asked or "-"
            table.add_row(row.name, asked, str(row.received), lost, _lag(row), f"[red]{bar}[/red]")
        self.update(table, refresh=True)
