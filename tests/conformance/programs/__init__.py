"""The clients. `PROGRAMS` has those of Python, and those that a machine may or may not have."""

from __future__ import annotations

from conformance.programs import browser, node, python
from conformance.programs.program import Program as Program

PROGRAMS: tuple[Program, ...] = (*python.PROGRAMS, node.PROGRAM, browser.PROGRAM)
