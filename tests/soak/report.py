"""The verdict, and the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from soak.heart import Gaps
from soak.memory import GROWTH_ALLOWED, SLOPE_ALLOWED, Growth, growth
from soak.run import Run

GAP_ALLOWED = 10.0
"""Milliseconds that a loop may compute between two beats under flood, in 99.9 % of them."""


def grown(run: Run) -> Growth:
    """Return how the memory of a run grew."""
    seconds, memory = [[sample[field] for sample in run.samples] for field in (0, 1)]
    return growth(seconds, memory)


def complaints(run: Run) -> Iterator[str]:
    """Say what is wrong with a run, in words."""
    yield from run.errors
    memory = grown(run)
    if memory.too_much:
        yield (
            f"memory grows by {memory.an_hour:.1f} MB an hour, and grew by {memory.in_all:.1f} MB; "
            f"{SLOPE_ALLOWED:g} and {GROWTH_ALLOWED:g} are allowed"
        )
    for heart in run.hearts:
        gap = heart.computed_in_flood.percentile(99.9)
        if gap > GAP_ALLOWED:
            yield (
                f"{heart.name} computed {gap:.1f} ms between two beats at p99.9 under flood; "
                f"{GAP_ALLOWED:g} ms are allowed"
            )


def tables(run: Run, idle: Gaps, counting: Gaps, counters: int) -> str:
    """Return what happened, as Markdown."""
    counts = run.counts()
    seconds = run.samples[-1].seconds if run.samples else 0.0
    unlinked = max((sample.unlinked for sample in run.samples), default=0)
    memory = grown(run)
    happened = [
        ("seconds", f"{seconds:.0f}"),
        *((name, f"{counts[name]:,}") for name in sorted(counts)),
        ("most that waited to be linked", f"{unlinked:,}"),
        ("memory, MB an hour", f"{memory.an_hour:+.1f}"),
        ("memory, MB in all", f"{memory.in_all:+.1f}"),
    ]
    loads = [
        (load.name, ", ".join(f"{name} {count:,}" for name, count in run.counts(load.name).items()))
        for load in run.loads
    ]
    hearts = [
        *(
            (f"{heart.name}, {what}", *_row(gaps))
            for heart in run.hearts
            for what, gaps in (
                ("computed under flood (judged)", heart.computed_in_flood),
                ("computed", heart.computed),
                ("elapsed under flood", heart.elapsed_in_flood),
                ("elapsed", heart.elapsed),
            )
        ),
        (f"control: elapsed beside {counters} threads that only count", *_row(counting)),
        ("control: elapsed in an idle process beside the run", *_row(idle)),
    ]
    return "\n".join(
        [
            f"## Soak with seed {run.seed}",
            "",
            *_table(("what", "how much"), happened),
            "",
            *_table(("load", "what it did"), loads),
            "",
            *_table(("gap between heartbeats, ms", "p50", "p99", "p99.9", "largest"), hearts),
            "",
            "- computed: processor time of the loop's thread between two beats, which neither other"
            " threads nor other processes lengthen, without garbage collections and without holding"
            " messages to the law, and with all else that the loads do.",
            "- elapsed: on the clock. A thread that computes keeps the interpreter for 5 ms at a"
            " time, so floods from threads show in it; the controls have no driftline.",
            "- memory: the line through what was measured after the first quarter.",
            "",
        ]
    )


def _row(gaps: Gaps) -> list[str]:
    return [f"{gap:.1f}" for gap in gaps.milliseconds()]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
