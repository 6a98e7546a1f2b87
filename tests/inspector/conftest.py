"""Chromium for all tests here, if the machine has it."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from inspector.chromium import missing, started
from inspector.view import PATIENCE


@pytest.fixture(scope="package")
def chromium() -> None:
    """See that it is there; without it, the test is skipped, unless clients are required."""
    if why := missing():
        (pytest.fail if "REQUIRE_CLIENTS" in os.environ else pytest.skip)(why)


@pytest.fixture(scope="package")
def browser(chromium: None) -> Iterator[Browser]:
    """Start it for all tests here."""
    expect.set_options(timeout=PATIENCE)
    with started() as browser:
        yield browser
