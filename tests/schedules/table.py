"""How many schedules there were, of which scenario on which loop."""

from __future__ import annotations

from schedules.batch import Outcome

MOST = 100_000
"""Orders that are remembered of each row; more would take too much memory."""


class Row:
    """One scenario on one loop."""

    def __init__(self) -> None:
        self.schedules = 0
        self.seconds = 0.0
        self.orders: set[bytes] = set()

    def add(self, outcome: Outcome) -> None:
        """Count what came of a batch."""
        self.schedules += len(outcome.batch.seeds)
        self.seconds += outcome.seconds
        if len(self.orders) < MOST:
            self.orders |= outcome.orders

    @property
    def distinct(self) -> str:
        """How many different orders there were."""
        return f"{len(self.orders):,}" if len(self.orders) < MOST else f"over {MOST:,}"


class Table:
    """All of them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def add(self, outcome: Outcome) -> None:
        """Count what came of a batch."""
        batch = outcome.batch
        self._rows.setdefault((batch.scenario, batch.loop), Row()).add(outcome)

    def __str__(self) -> str:
        lines = ["| scenario | loop | schedules | distinct orders | seconds of computing |"]
        lines.append("|---|---|---:|---:|---:|")
        for (scenario, loop), row in sorted(self._rows.items()):
            lines.append(
                f"| {scenario} | {loop} | {row.schedules:,} | {row.distinct} | {row.seconds:.1f} |"
            )
        schedules = sum(row.schedules for row in self._rows.values())
        seconds = sum(row.seconds for row in self._rows.values())
        lines.append(f"| all | | {schedules:,} | | {seconds:.1f} |")
        return "\n".join(lines) + "\n"
