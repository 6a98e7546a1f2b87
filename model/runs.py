"""What is to be checked: the model in several sizes, and each of its mutations.

Sizes are chosen so that all of it takes some minutes and at most 4 GiB. The larger ones are not
complete: states are remembered by bits of a hash, so that some are passed over.
"""

from __future__ import annotations

from typing import NamedTuple


class Run(NamedTuple):
    """One run of the checker: how many of what, how thoroughly, and with what taken away."""

    publishers: int
    readers: int
    each: int  # messages of each publisher
    limit: int
    threads: bool = False  # readers are threads, not tasks
    close_last: bool = False
    complete: bool = True
    mutation: str = ""

    def __str__(self) -> str:
        kind = "threads" if self.threads else "tasks"
        size = f"{self.publishers} x {self.each}, {self.readers} {kind}, limit {self.limit}"
        if self.mutation:
            return f"{size}, {self.mutation}"
        end = "close last" if self.close_last else "close any time"
        return f"{size}, {end}, {'complete' if self.complete else 'bits'}"

    @property
    def definitions(self) -> list[str]:
        """What the model is told of it, as options of a preprocessor."""
        sizes = ("publishers", "readers", "each", "limit")
        names = [f"-D{name.upper()}={getattr(self, name)}" for name in sizes]
        names += ["-DTHREADS"] * self.threads + ["-DCLOSE_LAST"] * self.close_last
        return names + [f"-D{self.mutation}"] * bool(self.mutation)


def _broken(
    publishers: int, readers: int, each: int, *names: str, threads: bool = False
) -> list[Run]:
    mutations = [f"MUTATION_{name}" for name in names]
    return [Run(publishers, readers, each, 1, threads, mutation=name) for name in mutations]


MUTATIONS = [
    *_broken(1, 1, 1, "NO_CLAIM", "NO_LOOK_AFTER_APPENDING", "MARK_CLOSE_LAST"),
    *_broken(1, 1, 1, "LINK_AFTER_THE_END", "NUMBER_AFTER_NEXT", "WAKE_BEFORE_LINKING"),
    *_broken(2, 1, 1, "NO_TURN", "NO_SECOND_LOOK_AT_THE_INBOX"),
    *_broken(1, 1, 1, "NO_LOOK_AFTER_PARKING"),
    *_broken(1, 2, 1, "UNQUEUE_AFTER_LOOKING"),
    *_broken(1, 2, 2, "NO_QUEUEING_FOR_THE_OTHERS"),
    *_broken(1, 1, 2, "MOVE_BEFORE_COUNT", "NO_LOOK_AT_WHAT_FOLLOWS"),
    *_broken(1, 1, 3, "NO_SECOND_LOOK_AT_THE_NUMBER", "MOVE_THE_GAP_LAST"),
    *_broken(1, 2, 1, "NO_LOOK_AFTER_PARKING", "LEAVE_WITHOUT_A_WORD", threads=True),
    *_broken(1, 2, 1, "NO_RESUMING_BY_WHO_LEAVES", "UNQUEUE_AFTER_LOOKING", threads=True),
    *_broken(1, 2, 1, "NO_QUEUEING_FOR_THE_OTHERS", threads=True),
]

SIZES = [
    Run(1, 1, 2, 1),
    Run(1, 2, 2, 1),
    Run(2, 2, 1, 1),
    Run(3, 1, 1, 2, close_last=True),
    Run(3, 3, 1, 2, close_last=True),
    Run(1, 1, 2, 1, threads=True),
    Run(1, 2, 1, 1, threads=True, close_last=True),
    Run(2, 1, 1, 1, threads=True),
    Run(3, 3, 1, 2, complete=False),
    Run(2, 2, 1, 1, threads=True, complete=False),
    Run(3, 3, 1, 2, threads=True, complete=False),
]
