"""What do clients that never read cost a hub, and those who do?

The same messages to the same clients, with and without others that connect and read nothing: when
those are cut off, how late messages are for the rest, and how much the process grows.
"""

import json
import subprocess
import sys
from itertools import product
from typing import Any, NamedTuple

from .audience import Miscount
from .loops import ASYNCIO, UVLOOP
from .measure import ROOT, Table, Track, in_fresh_process, installed, percentile, spread

KIBIBYTE = 1024
MEBIBYTE = 1 << 20


class Size(NamedTuple):
    """How much is measured."""

    reading: int
    stalled: int
    rate: float
    """Messages a second, each of 1 KiB."""
    seconds: float
    patience: float
    """Of the hub, in seconds."""


FULL = Size(900, 100, 25, 14, 4.0)
QUICK = Size(9, 1, 200, 1, 0.3)


class Run(NamedTuple):
    """What became of one run."""

    late: list[float]
    """Seconds from when each message was published until a witness had it."""
    cut: list[float]
    """Seconds from the first message until each that never reads was cut off."""
    grown: int
    """Bytes of resident memory."""


def run(loop: str, size: Size, stalled: int) -> Run:
    """Serve, in fresh processes."""
    clients = size.reading + stalled
    arguments = [loop, [clients, size.rate, KIBIBYTE, size.seconds, size.patience]]
    command = [sys.executable, "-m", "benchmarks.hub_server", json.dumps(arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        port = json.loads(server.stdout.readline())
        received: dict[str, Any] = in_fresh_process(
            "benchmarks.hub_clients", json.dumps([port, size.reading, stalled])
        )
        server.stdin.close()
        told: dict[str, Any] = json.loads(server.stdout.readline())
    if set(received["received"]) != {told["published"]}:
        raise Miscount(f"received {received['received']} of {told['published']}")
    return Run(received["late"], received["cut"], told["grown"])


def tables(track: Track, quick: bool) -> list[Table]:
    """Measure, and return the table."""
    size = QUICK if quick else FULL
    loops = [ASYNCIO.name, UVLOOP.name]
    cells = list(product(loops, (0, size.stalled)))
    rows: list[list[str]] = []
    samples: dict[str, object] = {}
    before = 0.0
    for loop, stalled in track(cells, "hub"):
        found = run(loop, size, stalled)
        late = percentile(found.late, 99) * 1000
        ratio = late / before if stalled else 1.0
        before = late
        samples[f"{loop}, {stalled}"] = {
            "late_ms": {p: percentile(found.late, p) * 1000 for p in (50, 99, 99.9)},
            "cut": found.cut,
            "grown": found.grown,
        }
        last = max(found.cut, default=0.0)
        rows.append([
            loop if not stalled else "",
            f"{stalled}",
            f"{percentile(found.late, 50) * 1000:.1f}",
            f"{late:.1f}",
            f"{ratio:.2f}x",
            f"{len(found.cut)}" if stalled else "-",
            spread(found.cut, " s") if found.cut else "-",
            f"{last * size.rate * KIBIBYTE / MEBIBYTE:.2f}" if found.cut else "-",
            f"{found.grown / MEBIBYTE:.1f}",
        ])  # fmt: skip
    return [
        Table(
            f"A hub with {size.reading:,} clients that read, and others that never do",
            [
                f"{size.rate:g} messages a second of 1 KiB for {size.seconds:g} s; the patience of "
                f"the hub is {size.patience:g} s; it sends no pings.",
                "late: from publishing until one of five witnesses had it. They are verified to "
                "have received everything, and all others as many bytes.",
                "cut off: how many of those that never read; when, counted from the first message; "
                "and how much was published until the last of them was.",
                "Bars: 99% late at most 2x; each cut off within 5 s or 1 MiB; 64 MiB.",
                f"Each row is two fresh processes. {installed('websockets')}.",
            ],
            [
                "loop",
                "never read",
                "50% late, ms",
                "99% late, ms",
                "to none",
                "cut off",
                "after",
                "MiB until then",
                "process grown, MiB",
            ],
            rows,
            samples,
        )
    ]
