"""How much of a run is done: a bar, or lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from soak.run import Run

LINES = 20


@contextmanager
def progress(console: Console, run: Run, seconds: float) -> Iterator[Callable[[float], None]]:
    """Yield a function that is told how many seconds are over."""
    if console.is_terminal:
        columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=seconds)
            yield lambda now: bar.update(task, completed=now, description=_state(run))
        return
    due = 0.0

    def line(now: float) -> None:
        nonlocal due
        if now >= due:
            due = now + seconds / LINES
            console.print(f"{now:.0f} of {seconds:.0f} s: {_state(run)}", soft_wrap=True)

    yield line


def _state(run: Run) -> str:
    counts, sample = run.counts(), run.samples[-1]
    return (
        f"{counts['published']:,} published, {counts['delivered']:,} delivered, "
        f"{sample.memory:.0f} MB, gap {sample.elapsed:.0f} ms, computed {sample.computed:.0f} ms"
    )
