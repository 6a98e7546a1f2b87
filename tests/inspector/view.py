"""The page, as somebody in front of it sees it, and what the browser complains about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from driftline.hub import Hub
from inspector.hubs import page_of

PATIENCE = 30_000.0  # milliseconds; a machine that does much else takes some of them


class View:
    """The inspector of one hub in a window of its own.

    Attributes:
        page: The window.
        complaints: Errors, violations of the policy, questions, and requests to anybody else.
        forgiven: What may stand in complaints that are to be expected.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.forgiven: list[str] = []
        self._host = urlsplit(address).netloc
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._see(request.url))
        page.on("websocket", lambda websocket: self._see(websocket.url))
        page.on("dialog", self._refuse)
        page.goto(address)

    def reader(self, name: str) -> Locator:
        """Return the row of a reader."""
        return self._row("Table of readers", name)

    def lag(self, name: str) -> Locator:
        """Return the number of messages that a reader is behind."""
        return self.reader(name).locator(".lag.messages span")

    def topic(self, name: str) -> Locator:
        """Return the row of a topic."""
        return self._row("Table of topics", name)

    def follow(self, patterns: str) -> None:
        """Follow a topic or patterns, and wait until that has begun."""
        self.page.get_by_label("Topic or patterns to follow").fill(patterns)
        self.page.get_by_role("button", name="Follow", exact=True).click()
        expect(self.page.locator("#follow-status")).to_contain_text("Following ")

    @property
    def values(self) -> Locator:
        """The values in the list of messages that are followed."""
        return self.page.locator("#tail .value")

    def publish(self, topic: str, value: str, kind: str = "text") -> None:
        """Ask for something to be published."""
        self.page.get_by_label("Topic to publish on").fill(topic)
        self.page.get_by_label("Value", exact=True).fill(value)
        self.page.get_by_label(kind, exact=True).check()
        self.page.get_by_role("button", name="Publish", exact=True).click()

    @property
    def state(self) -> Locator:
        """What is said of the connection."""
        return self.page.locator("#state")

    @property
    def published(self) -> Locator:
        """What came of publishing."""
        return self.page.locator("#publish-status")

    def wait_for_statistics(self) -> None:
        """Wait until the hub has told what happens there."""
        expect(self.page.locator("#connections")).to_have_text(re.compile(r"\d"))

    def _row(self, table: str, name: str) -> Locator:
        row = self.page.get_by_label(table, exact=True).locator("tbody tr:not([hidden])")
        return row.filter(has=self.page.get_by_text(name, exact=True))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"console: {message.text}")

    def _see(self, url: str) -> None:
        found = urlsplit(url)
        if found.netloc != self._host and found.scheme != "data":
            self.complaints.append(f"asks somebody else: {url}")

    def _refuse(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@contextmanager
def looking(browser: Browser, hub: Hub, width: int = 1600, **options: Any) -> Iterator[View]:
    """Open the inspector of a hub; at the end, nothing may be to complain about.

    Args:
        browser: where.
        hub: at what.
        width: of the window.
        options: of the window, as for `Browser.new_context`.
    """
    with browser.new_context(viewport={"width": width, "height": 900}, **options) as context:
        context.set_default_timeout(PATIENCE)
        view = View(context.new_page(), page_of(hub))
        yield view
        expected = tuple(view.forgiven)
        left = [each for each in view.complaints if not any(part in each for part in expected)]
        if left:
            raise AssertionError("\n".join(left))
