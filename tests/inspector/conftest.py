"""One browser for all tests here, if the machine has one."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from inspector.chromium import missing, started
from inspector.view import PATIENCE


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start Chromium; without it, the test is skipped, unless clients are required."""
    if why := missing():
        (pytest.fail if "REQUIRE_CLIENTS" in os.environ else pytest.skip)(why)
    expect.set_options(timeout=PATIENCE)
    with started() as browser:
        yield browser
