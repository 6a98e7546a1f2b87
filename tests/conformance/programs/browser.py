"""Chromium, without a window. What it offers cannot be chosen, so servers choose."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from conformance.offers import Offer
from conformance.programs.javascript import driven
from conformance.programs.program import Echo, Program

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The sandbox does not work for root, and /dev/shm is small in a container.
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def _executable() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def _missing() -> str | None:
    return None if _executable() else "needs Chromium: tools/clients installs it"


@asynccontextmanager
async def _started() -> AsyncIterator[Echo]:
    executable = _executable()
    assert executable is not None
    # It still writes while it ends.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [executable, *OPTIONS, f"--user-data-dir={profile}"]
        async with driven(lambda address: [*command, f"http://{address}/"], lambda _: None) as echo:
            yield echo


PROGRAM = Program("Chromium", (Offer(),), _started, _missing)
