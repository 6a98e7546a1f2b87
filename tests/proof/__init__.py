"""The means of proof: what decides whether driftline keeps its promises.

`law` says what a history of publishing and reading must look like. `shuffled`, `seeded_trio` and
`interleavings` make histories: asyncio tasks, trio tasks and threads in orders that seldom happen
by themselves. `documented_list` is a rival that has the defects, so that `test_proof.py` can show
that each of these finds what it is for.
"""

from collections.abc import Callable


class FailedSchedule(AssertionError):
    """A scenario failed in one of the orders that were tried.

    Attributes:
        replay: What to give to `explore` to see exactly this order again.
    """

    def __init__(self, what: str, replay: object) -> None:
        super().__init__(what)
        self.replay = replay


def failed_seed(scenario: Callable[[], object], seed: int, error: BaseException) -> FailedSchedule:
    """Say which seed failed, and how to see it fail again."""
    name = getattr(scenario, "__qualname__", repr(scenario))
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return FailedSchedule(
        f"{name} fails with seed {seed}: {type(error).__name__}: {error}\n"
        f"see it again with explore(..., seeds=[{seed}])",
        seed,
    )
