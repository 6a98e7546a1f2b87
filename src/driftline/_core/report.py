"""Reporting errors that nobody can be given as an exception."""

from __future__ import annotations


class _Report:
    """Raises its error when it is freed: then Python reports it, by `sys.unraisablehook`.

    The hook itself cannot be called with an object of one's own.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def report(error: Exception, happened: str) -> None:
    """Report an error as Python does for errors in finalizers, with a note of what happened."""
    error.add_note(happened)
    _Report(error)
