"""How long each thread has collected garbage, which is Python's time and not driftline's.

Whoever happens to allocate the object that is one too many collects for the whole process.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from threading import get_ident
from time import thread_time
from typing import Any

_spent: defaultdict[int, float] = defaultdict(float)
_begun: dict[int, float] = {}


def spent_here() -> float:
    """Return the seconds of processor time that this thread has collected garbage so far."""
    return _spent[get_ident()]


def _told(phase: str, _: dict[str, Any]) -> None:
    thread = get_ident()
    if phase == "start":
        _begun[thread] = thread_time()
    elif thread in _begun:
        _spent[thread] += thread_time() - _begun.pop(thread)


gc.callbacks.append(_told)
