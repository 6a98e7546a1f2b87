"""What runs the caller: asyncio, trio, or neither."""

from __future__ import annotations

import sys
from asyncio import _get_running_loop, current_task
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trio.lowlevel import TrioToken

# Returns None where the public one raises.
running_loop: Final = _get_running_loop


def running_trio() -> TrioToken | None:
    """Return the token of the trio run whose task is running in this thread, if there is one."""
    trio = sys.modules.get("trio")  # who has not imported it does not run it
    if trio is None or not trio.lowlevel.in_trio_task():
        return None
    # With trio as a guest of asyncio, or its host, both are here. Who runs a task is meant.
    loop = running_loop()
    if loop is not None and current_task(loop) is not None:
        return None
    token: TrioToken = trio.lowlevel.current_trio_token()
    return token


def event_loop_here() -> str | None:
    """Return "asyncio" or "trio" if one of them runs the caller."""
    if running_trio() is not None:
        return "trio"
    return None if running_loop() is None else "asyncio"
