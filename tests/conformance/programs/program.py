"""A program that can be a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from conformance.offers import Offer

Echo = Callable[[str, Offer | None], Awaitable[object]]
"""Connects to a URL with an offer, and sends back whatever it gets, until it is closed. It may
return before that, if something else goes on with it."""


class Program(NamedTuple):
    """A client."""

    name: str
    offers: Sequence[Offer | None]
    """What it can offer."""
    started: Callable[[], AbstractAsyncContextManager[Echo]]
    """Has it run as long as it is needed."""
    missing: Callable[[], str | None]
    """Says what this machine lacks for it, and how to get it; None if that is nothing. It installs
    what can be had without touching the machine."""
