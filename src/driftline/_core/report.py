"""Reporting errors that nobody can be given as an exception."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, cast


def report(error: Exception, happened: str, where: object) -> None:
    """Report an error as Python does for errors in finalizers, by `sys.unraisablehook`."""
    unraisable: Any = SimpleNamespace(
        exc_type=type(error),
        exc_value=error,
        exc_traceback=error.__traceback__,
        err_msg=happened,
        object=where,
    )
    sys.unraisablehook(cast("sys.UnraisableHookArgs", unraisable))
