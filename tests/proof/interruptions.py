"""Interrupt a function at every place where CPython may run a signal handler.

CPython runs signal handlers between instructions, but not between any two: when a function begins,
after a call, and where a loop jumps back. A handler that raises, as Control-C does, ends the
function there. `interrupt` raises at the n-th such place of the modules named by `within`.

Not within finalizers and callbacks of weak references: what is raised there goes nowhere. Nor
within what trio protects from Control-C, which it puts off until that has returned.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

_CHECKED = ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD")
_FINALIZERS = ("__del__", "forget")
_PROTECTED = ("TrioParking.call", "TrioWaiter.wait")


class Interrupted(BaseException):
    """What the signal handler raised."""


def interrupt(function: Callable[[], object], at: int, *, within: Iterable[ModuleType]) -> bool:
    """Call the function, and raise `Interrupted` at this place of it; return whether there was one.

    Args:
        function: What is called. It may raise `Interrupted`, or anything else.
        at: The number of the place, from 0 on, in the order in which they are reached.
        within: The modules and packages whose functions are interrupted.
    """
    places = tuple(
        str(Path(str(module.__file__)).parent if hasattr(module, "__path__") else module.__file__)
        for module in within
    )
    left = at

    def reached(frame: FrameType) -> None:
        nonlocal left
        if left >= 0 and not _is_spared(frame):
            left -= 1
            if left < 0:
                raise Interrupted

    with _places_reported(places, reached), suppress(Interrupted):
        function()
    return left < 0


def _is_spared(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name in _FINALIZERS or frame.f_code.co_qualname in _PROTECTED:
            return True
        frame = frame.f_back
    return False


@cache
def _places(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions before which a handler may run."""
    places: set[int] = set()
    before = ""
    for instruction in dis.get_instructions(code):
        if before in (*_CHECKED, "RESUME"):
            places.add(instruction.offset)
        if instruction.opname == "JUMP_BACKWARD":
            places.add(int(instruction.argval))
        before = instruction.opname
    return frozenset(places)


# In 3.12 and 3.13, `sys.settrace` misses instructions, and `sys.monitoring` misses none.

if sys.version_info >= (3, 12):
    _TOOL = 4  # the explorer of interleavings has 3

    @contextmanager
    def _places_reported(
        files: tuple[str, ...], reached: Callable[[FrameType], None]
    ) -> Iterator[None]:
        monitoring = sys.monitoring

        def step(code: CodeType, offset: int) -> object:
            if not code.co_filename.startswith(files) or offset not in _places(code):
                return monitoring.DISABLE
            reached(sys._getframe(1))
            return None

        monitoring.use_tool_id(_TOOL, "proof.interruptions")
        try:
            monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, step)
            monitoring.restart_events()
            monitoring.set_events(_TOOL, monitoring.events.INSTRUCTION)
            yield
        finally:
            monitoring.set_events(_TOOL, monitoring.events.NO_EVENTS)
            monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, None)
            monitoring.free_tool_id(_TOOL)

else:

    @contextmanager
    def _places_reported(
        files: tuple[str, ...], reached: Callable[[FrameType], None]
    ) -> Iterator[None]:
        def trace(frame: FrameType, event: str, argument: object) -> Any:
            if not frame.f_code.co_filename.startswith(files):
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return step

        def step(frame: FrameType, event: str, argument: object) -> Any:
            if event == "opcode" and frame.f_lasti in _places(frame.f_code):
                reached(frame)
            return step

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)
