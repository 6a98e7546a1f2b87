"""How far a run is, and about how long it will still take."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

from .measure import Track

T = TypeVar("T")


class Estimate:
    """What a run will still take, by what its parts usually take and what the first ones took."""

    def __init__(self, usual: Mapping[str, float]) -> None:
        """Begin a run of parts, each with the seconds that it usually takes."""
        self.usual = dict(usual)
        self.taken: dict[str, float] = {}
        self.begun = monotonic()

    @property
    def total(self) -> float:
        """The seconds that the whole run will take, or is thought to."""
        usual = sum(self.usual[name] for name in self.taken)
        speed = sum(self.taken.values()) / usual if usual else 1.0
        now = monotonic() - self.begun
        later = [seconds for name, seconds in self.usual.items() if name not in self.taken]
        current = max(later[0] * speed, now) if later else 0.0
        return sum(self.taken.values()) + current + speed * sum(later[1:])

    @property
    def elapsed(self) -> float:
        """The seconds that the run has taken so far."""
        return sum(self.taken.values()) + (monotonic() - self.begun)

    def finish(self, name: str) -> float:
        """Note that a part is finished, and return the seconds that it took."""
        now = monotonic()
        self.taken[name], self.begun = now - self.begun, now
        return self.taken[name]

    def left(self) -> str:
        """Say about how long it will still take."""
        minutes = (self.total - self.elapsed) / 60
        return "less than a minute left" if minutes < 1 else f"about {minutes:.0f} minutes left"


@contextmanager
def progress(estimate: Estimate) -> Iterator[Track]:
    """Show a bar on a terminal, where rich is installed, and lines of text elsewhere."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        yield track(estimate, say)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield track(estimate, say)
        return
    with Progress(
        BarColumn(), TextColumn("{task.description}"), console=console, transient=True
    ) as bars:
        task = bars.add_task("")

        def show(text: str) -> None:
            bars.update(task, total=estimate.total, completed=estimate.elapsed, description=text)

        yield track(estimate, show)


def track(estimate: Estimate, show: Callable[[str], None]) -> Track:
    """Return what shows before each step which it is, and what is left."""

    def through(steps: Sequence[T], description: str) -> Iterable[T]:
        for number, step in enumerate(steps, 1):
            show(f"{description} {number}/{len(steps)}, {estimate.left()}")
            yield step

    return through


def say(text: str) -> None:
    """Write a line on standard error."""
    print(text, file=sys.stderr, flush=True)
