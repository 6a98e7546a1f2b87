"""The statistics of a hub as tables, for 80 columns and more."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from driftline._command.words import counted, printable


def tables(statistics: dict[str, Any], where: str, rows: int | None = None) -> RenderableType:
    """Return what people see of a snapshot.

    Args:
        statistics: the snapshot.
        where: the hub.
        rows: how many lines there is room for; None is for as many as there are.
    """
    topics, readers = statistics["topics"], statistics["readers"]
    most_topics = most_readers = None
    if rows is not None:
        room = max(2, rows - 7)
        most_topics = min(len(topics), max(room // 2, room - len(readers), 1))
        most_readers = max(1, room - most_topics)
    busiest = sorted(topics, key=lambda each: -(each["rate"] or 0))
    return Group(
        _summary(statistics, where),
        Text(),
        _topics(busiest[:most_topics]),
        Text(),
        _readers(readers[:most_readers]),
    )


def _summary(statistics: dict[str, Any], where: str) -> Text:
    return Text(
        f"{where}  {counted(statistics['connections'], 'connection')}  "
        f"{counted(statistics['published'], 'message')}  "
        f"in {_rate(statistics['published_rate'])}/s  out {_rate(statistics['received_rate'])}/s",
        style="bold",
        no_wrap=True,
        overflow="ellipsis",
    )


def _topics(topics: list[dict[str, Any]]) -> Table:
    table = _table("topic", "messages", "per second", "readers")
    for each in topics:
        table.add_row(
            _name(each["name"]),
            f"{each['published']:,}",
            _rate(each["rate"]),
            f"{each['subscriptions']:,}",
        )
    return table


def _readers(readers: list[dict[str, Any]]) -> Table:
    table = _table("reader", "lag", "seconds", "bytes", "missed", "when slow", wide=["reads"])
    for each in readers:
        behind = each["lag"] > 0
        table.add_row(
            _name(each["name"] or "-"),
            _name(each["topic"]),
            Text(f"{each['lag']:,}", style="bold yellow" if behind else ""),
            f"{each['lag_seconds']:,.1f}",
            _bytes(each["lag_bytes"]),
            f"{each['missed']:,}",
            _name(each["on_lag"]),
        )
    return table


def _table(first: str, *others: str, wide: list[str] | None = None) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bold")
    for name in [first, *(wide or [])]:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1, min_width=8)
    for name in others:
        table.add_column(name, no_wrap=True, justify="right")
    return table


def _name(name: str) -> Text:
    # Clients choose names, and square brackets mean something to rich.
    return Text(printable(name))


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"


def _bytes(number: int | None) -> str:
    if number is None:
        return "-"
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
