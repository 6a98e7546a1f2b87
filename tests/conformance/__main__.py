"""Run all programs at all servers: `python -m conformance`, with `tests` on the path.

The exit code is 0 if every message was understood, and 1 if not, or if a program is missing that
must be there, because `REQUIRE_CLIENTS` is set.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from random import SystemRandom

import uvloop
from rich.console import Console

from conformance import servers
from conformance.programs import PROGRAMS, Program
from conformance.progress import progress
from conformance.report import Outcome, complaints, table
from conformance.run import run
from conformance.servers import Server

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="conformance", description="Send to real clients.")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--steps", type=int, default=16, help="of each run (default 16)")
    parser.add_argument("--client", default="", help="those with this in their name only")
    parser.add_argument("--server", default="", help="one kind only: shared, stock or plain")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    console.print(f"seed {options.seed}")

    missing = {program.name: program.missing() for program in PROGRAMS}
    for name, why in missing.items():
        if why is not None:
            console.print(f"{name} is left out: {why}", soft_wrap=True)
    programs = [
        each for each in PROGRAMS if options.client in each.name and missing[each.name] is None
    ]
    chosen = [each for each in servers.ALL if each.kind.startswith(options.server)]
    outcomes: list[Outcome] = []
    with progress(console, len(LOOPS) * len(programs) * len(chosen)) as tell:
        for loop, factory in LOOPS.items():
            with asyncio.Runner(loop_factory=factory) as runner:
                every = _run_all(programs, chosen, loop, options.seed, options.steps, tell)
                outcomes += runner.run(every)

    sys.stdout.write(table(outcomes))
    found = list(complaints(outcomes))
    for complaint in found:
        sys.stderr.write(f"seed {options.seed}: {complaint}\n")
    lacking = "REQUIRE_CLIENTS" in os.environ and any(missing.values())
    return 1 if found or lacking else 0


async def _run_all(
    programs: Sequence[Program],
    chosen: Sequence[Server],
    loop: str,
    seed: int,
    steps: int,
    tell: Callable[[str], None],
) -> list[Outcome]:
    outcomes = []
    for program in programs:
        async with program.started() as echo:
            for number, server in enumerate(chosen):
                tell(f"{program.name} at {server}, on {loop}")
                # Other messages at each server, and the same for each program.
                results = await run(server, echo, program.offers, seed + number, steps)
                outcomes.append(Outcome(program.name, server, loop, results))
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
