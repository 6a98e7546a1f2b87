"""Chromium from the distribution, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# The sandbox does not work for root, and /dev/shm is small in a container.
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def executable() -> str | None:
    """Return its path, if it is there."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def missing() -> str | None:
    """Say what this machine lacks, and how to get it; None if that is nothing."""
    return None if executable() else "needs Chromium: tools/clients installs it"


@contextmanager
def started() -> Iterator[Browser]:
    """Have it run as long as it is needed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()
