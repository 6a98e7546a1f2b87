"""Resident memory, and whether it grows."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

MEGABYTE = 1024 * 1024
WARM_UP = 0.25
"""The part of a run that is not looked at: caches fill, and each load meets its worst."""
SLOPE_ALLOWED = 60.0
"""Megabytes an hour."""
GROWTH_ALLOWED = 8.0
"""Megabytes along the line; less is noise, from which a short run would conclude a lot."""

_STATISTICS = Path("/proc/self/statm")


def resident() -> float:
    """Return megabytes of resident memory; where it is not told, the most there has been."""
    try:
        return int(_STATISTICS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


class Growth(NamedTuple):
    """A line through what was measured."""

    an_hour: float
    in_all: float

    @property
    def too_much(self) -> bool:
        return self.an_hour > SLOPE_ALLOWED and self.in_all > GROWTH_ALLOWED


def growth(seconds: Sequence[float], megabytes: Sequence[float]) -> Growth:
    """Return how memory grows after the warm-up."""
    if len(seconds) < 3:
        return Growth(0.0, 0.0)
    begin = seconds[0] + (seconds[-1] - seconds[0]) * WARM_UP
    points = [(x, y) for x, y in zip(seconds, megabytes, strict=True) if x >= begin]
    slope, _ = linear_regression(*zip(*points, strict=True))
    return Growth(slope * 3600, slope * (points[-1][0] - points[0][0]))
