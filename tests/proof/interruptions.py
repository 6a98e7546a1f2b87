"""Interrupt a function at every place where CPython may run a signal handler.

CPython runs signal handlers between instructions, but not between any two: when a function begins,
after a call, and where a loop jumps back. A handler that raises, as Control-C does, ends the
function there. `interrupt` raises at the n-th such place of the modules named by `within`.

Not within finalizers and callbacks of weak references: what is raised there goes nowhere.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

_CHECKED = ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD")

_FINALIZERS = ("__del__", "forget")


class Interrupted(BaseException):
    """What the signal handler raised."""


def interrupt(function: Callable[[], object], at: int, *, within: Iterable[ModuleType]) -> bool:
    """Call the function, and raise `Interrupted` at this place of it; return whether there was one.

    Args:
        function: What is called. It may raise `Interrupted`, or anything else.
        at: The number of the place, from 0 on, in the order in which they are reached.
        within: The packages whose functions are interrupted.
    """
    folders = tuple(str(Path(str(module.__file__)).parent) for module in within)
    left = at

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(folders):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return step

    def step(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "opcode" and frame.f_lasti in _places(frame.f_code) and not finalizing(frame):
            left -= 1
            if left == -1:
                sys.settrace(None)
                raise Interrupted
        return step

    def finalizing(frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code.co_name in _FINALIZERS:
                return True
            frame = frame.f_back
        return False

    sys.settrace(trace)
    try:
        function()
    except Interrupted:
        pass
    finally:
        sys.settrace(None)
    return left < 0


@cache
def _places(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions before which a handler may run."""
    places: set[int] = set()
    before = ""
    for instruction in dis.get_instructions(code):
        if before in _CHECKED:
            places.add(instruction.offset)
        if instruction.opname == "JUMP_BACKWARD":
            places.add(int(instruction.argval))
        before = instruction.opname
        if before == "RESUME":
            before = "CALL"  # the first instruction after it
    return frozenset(places)
