"""`driftline top`: who is behind, as a table that is renewed each second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from driftline._command.address import Address
from driftline._command.output import Output
from driftline._command.reading import Reading
from driftline._command.tables import tables
from driftline.protocol import Delivered, Subscribe, write_json

_WIDTH: Final = 80  # columns where there is no terminal that has a width

Show = Callable[[dict[str, Any]], Awaitable[None]]


async def top(address: Address, *, once: bool, as_json: bool) -> int:
    """Show snapshots until the hub is gone for good; return the number to end with."""
    output = Output()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH, no_color=True)

    async def print_json(statistics: dict[str, Any]) -> None:
        await output.write(write_json(statistics).encode() + b"\n")

    async def print_tables(statistics: dict[str, Any]) -> None:
        with console.capture() as captured:
            console.print(tables(statistics, address.shown), end="\n\n")
        await output.write(captured.get().encode(errors="replace"))

    if as_json or once or not console.is_terminal:
        await _read(address, output, print_json if as_json else print_tables, once=once)
        return 0
    with Live(console=console, screen=True, auto_refresh=False) as live:

        async def renew(statistics: dict[str, Any]) -> None:
            live.update(tables(statistics, address.shown, console.height), refresh=True)

        await _read(address, output, renew, once=False)
    return 0


async def _read(address: Address, output: Output, show: Show, *, once: bool) -> None:
    async def take(message: Delivered) -> bool:
        if message.value["published_rate"] is None:
            return True  # the first has no rates, for which it takes two
        await show(message.value)
        return not once

    request = Subscribe(patterns=("$statistics",), name="driftline top", on_lag="latest")
    await output.while_read(Reading(address, request, take).run)
