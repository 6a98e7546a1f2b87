"""Run schedules: `python -m schedules [--asyncio N] [--trio N] [--seed S] [--times T]`.

With `tests` on the path. The exit code is 0 if all is well, and 1 if a schedule fails; then it is
printed, with the command that replays it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from multiprocessing import get_context

from rich.console import Console
from rich.progress import Progress

from schedules.batch import LOOPS, Batch, Outcome, run
from schedules.scenarios import SCENARIOS
from schedules.table import Table

SIZE = 1_000  # seeds in a batch
PROCESSES = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them, and return the exit code."""
    parser = argparse.ArgumentParser(prog="schedules", description="Try many orders of tasks.")
    parser.add_argument("--asyncio", type=int, default=100_000, help="how many schedules there")
    parser.add_argument("--trio", type=int, default=20_000, help="how many schedules there")
    parser.add_argument("--seed", type=int, default=0, help="where the seeds begin")
    parser.add_argument("--times", type=int, default=1, help="as many times as many")
    parser.add_argument("--only", choices=SCENARIOS, help="this scenario alone")
    parser.add_argument("--on", choices=LOOPS, help="this loop alone")
    parser.add_argument("--seeds", type=int, nargs="+", help="these seeds alone")
    options = parser.parse_args(arguments)
    batches = list(_batches(options))

    table = Table()
    failed = None
    with (
        Progress(console=Console(stderr=True)) as progress,
        closing(_outcomes(batches)) as outcomes,
    ):
        for outcome in progress.track(outcomes, len(batches), description="schedules"):
            table.add(outcome)
            if outcome.failure is not None:
                failed = outcome
                break
    if failed is not None:
        sys.stderr.write(_complaint(failed))
        return 1
    sys.stdout.write(str(table))
    return 0


def _batches(options: argparse.Namespace) -> Iterator[Batch]:
    scenarios = [options.only] if options.only else list(SCENARIOS)
    for loop in [options.on] if options.on else LOOPS:
        for scenario in scenarios:
            if options.seeds:
                yield from (Batch(scenario, loop, range(seed, seed + 1)) for seed in options.seeds)
                continue
            seeds = range(-(-getattr(options, loop) * options.times // len(scenarios)))
            for begin in seeds[::SIZE]:
                some = seeds[begin : begin + SIZE]
                yield Batch(
                    scenario, loop, range(options.seed + some[0], options.seed + some[-1] + 1)
                )


def _outcomes(batches: Sequence[Batch]) -> Generator[Outcome, None, None]:
    if len(batches) == 1:
        yield run(batches[0])
        return
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        try:
            for done in as_completed([pool.submit(run, batch) for batch in batches]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _complaint(failed: Outcome) -> str:
    assert failed.failure is not None
    batch, (text, seed) = failed.batch, failed.failure
    return (
        f"{text}\n{batch.scenario} on {batch.loop} fails with seed {seed}. See it again with\n"
        f"PYTHONPATH=tests .venv/bin/python -m schedules"
        f" --only {batch.scenario} --on {batch.loop} --seeds {seed}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
