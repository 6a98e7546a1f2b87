"""What each thread computes that is not driftline's: garbage collections, and judging messages.

Whoever happens to allocate the object that is one too many collects for the whole process. To
hold a message to the law takes longer than to receive it.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable
from threading import get_ident
from time import thread_time
from typing import Any, TypeVar

V = TypeVar("V")

_spent: defaultdict[int, float] = defaultdict(float)
_begun: dict[int, float] = {}


def spent_here() -> float:
    """Return the seconds of processor time that this thread has spent so until now."""
    return _spent[get_ident()]


def judge(judgement: Callable[[V], None], values: V) -> None:
    """Call a function whose time does not count. No context manager, which takes as long again."""
    thread = get_ident()
    spent, begin = _spent[thread], thread_time()
    judgement(values)
    _spent[thread] = spent + thread_time() - begin  # with what was collected in the meantime


def _told(phase: str, _: dict[str, Any]) -> None:
    thread = get_ident()
    if phase == "start":
        _begun[thread] = thread_time()
    elif thread in _begun:
        _spent[thread] += thread_time() - _begun.pop(thread)


gc.callbacks.append(_told)
