"""How much of all runs is done: a bar, or lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINES = 20


@contextmanager
def progress(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what is next, as often as there is something."""
    if console.is_terminal:
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total, completed=-1)
            yield lambda what: bar.update(task, advance=1, description=what)
        return
    done = 0

    def line(what: str) -> None:
        nonlocal done
        if done * LINES // total != (done - 1) * LINES // total:
            console.print(f"{done} of {total}: {what}", soft_wrap=True)
        done += 1

    yield line
