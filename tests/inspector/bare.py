"""Chromium with a page that nobody watches.

Playwright is told of every frame that a page receives, which under load is more work than all that
the page itself does. Here nothing is said but what is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

from inspector.chromium import OPTIONS, executable

PATIENCE = 100.0  # seconds


class BarePage:
    """A page, in which scripts can be run."""

    def __init__(self, browser: ClientConnection, address: str) -> None:
        self._browser = browser
        self._asked = 0
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self._ask("Target.attachToTarget", {"targetId": page, "flatten": True})
        self._session = attached["sessionId"]
        self._ask("Page.navigate", {"url": address}, sessionId=self._session)
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return what an expression comes to, or a promise."""
        answer = self._ask(
            "Runtime.evaluate",
            {"expression": script, "awaitPromise": True, "returnByValue": True},
            sessionId=self._session,
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true; it is looked at in every frame."""
        self.evaluate(
            "new Promise((resolve) => {"
            f"const look = () => ({condition}) ? resolve() : requestAnimationFrame(look);"
            "look(); })"
        )

    def _ask(self, method: str, parameters: dict[str, Any] | None = None, **others: str) -> Any:
        self._asked += 1
        request = {"id": self._asked, "method": method, "params": parameters or {}, **others}
        self._browser.send(json.dumps(request))
        while True:
            answer = json.loads(self._browser.recv(PATIENCE))
            if answer.get("id") == self._asked:
                return answer["result"]


@contextmanager
def bare_page(address: str) -> Iterator[BarePage]:
    """Open an address in a browser of its own."""
    # It still writes while it ends.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(executable()), *OPTIONS, "--headless", "--window-size=1600,900"]
        command += [f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        with Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                said = iter(process.stderr.readline, "")
                found = next(filter(None, map(re.compile("ws://.*").search, said)))
                with connect(found.group(), max_size=None, ping_interval=None) as browser:
                    yield BarePage(browser, address)
            finally:
                process.terminate()
