"""What came of all runs: a table, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from conformance.run import Result
from conformance.servers import Server


class Outcome(NamedTuple):
    """What came of one server and one program."""

    program: str
    server: Server
    loop: str
    results: Sequence[Result]


def complaints(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say what is wrong, in words."""
    for program, server, loop, results in outcomes:
        for offer, _, fault in results:
            if fault is not None:
                what = offer or "no compression"
                yield f"{program} ({what}) at {server}, on {loop}: {fault}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what happened, as Markdown."""
    lines = [
        "| client | server | parameters | runs | messages | result |",
        "|---|---|---|--:|--:|---|",
    ]

    def row(outcome: Outcome) -> tuple[str, str]:
        return outcome.program, outcome.server.kind

    for (program, kind), some in groupby(sorted(outcomes, key=row), row):
        group = list(some)
        results = [result for outcome in group for result in outcome.results]
        servers = len({(outcome.server.parameters, outcome.loop) for outcome in group})
        parameters = f"{servers} servers x {len({result.offer for result in results})} offers"
        compared = sum(result.compared for result in results)
        wrong = sum(result.fault is not None for result in results)
        result = f"{wrong} wrong" if wrong else "all as sent"
        lines.append(
            f"| {program} | {kind} | {parameters} | {len(results):,} | {compared:,} | {result} |"
        )
    return "\n".join(lines) + "\n"
