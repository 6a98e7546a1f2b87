"""Pictures of the inspector, with a hub that has something to show.

    PYTHONPATH=tests .venv/bin/python -m inspector.screenshots --seconds 290 --folder build
    PYTHONPATH=tests .venv/bin/python -m inspector.screenshots --seconds 290 --documentation

The first makes one of each theme and width. The second makes the one in `docs/images`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from inspector.chromium import started
from inspector.hubs import page_of, serving
from inspector.market import market, new_bus

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "images" / "inspector.png"
SIZES = {360: 2400, 1600: 1000}
THEMES = ("light", "dark")


def main(arguments: list[str] | None = None) -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(prog="inspector.screenshots", description=__doc__)
    parser.add_argument("--seconds", type=float, default=290.0, help="to look on before that")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="where they go")
    parser.add_argument("--documentation", action="store_true", help="make that of docs/images")
    options = parser.parse_args(arguments)
    wanted = (
        {DOCUMENTATION: (1600, "dark")}
        if options.documentation
        else {
            options.folder / f"inspector-{theme}-{width}.png": (width, theme)
            for width in SIZES
            for theme in THEMES
        }
    )
    with ExitStack() as stack:
        bus = new_bus()
        hub = stack.enter_context(serving(bus))
        stack.enter_context(market(bus, hub))
        browser = stack.enter_context(started())
        pages = {
            path: _opened(browser, page_of(hub), width, theme)
            for path, (width, theme) in wanted.items()
        }
        next(iter(pages.values())).wait_for_timeout(options.seconds * 1000)
        for path, page in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=path)
            with Image.open(path) as image:  # as few colours as an eye can tell apart here
                image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            sys.stderr.write(f"{path}\n")


def _opened(browser: Browser, address: str, width: int, theme: str) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": SIZES[width]},
        color_scheme="dark" if theme == "dark" else "light",
    )
    page.goto(address)
    page.get_by_label("Topic or patterns to follow").fill("orders.> alerts.*")
    page.get_by_label("Topic or patterns to follow").press("Enter")
    page.get_by_label("Topic to publish on").fill("chat.lobby")
    page.get_by_label("JSON").check()
    page.get_by_label("Value").fill('{"from": "the inspector", "text": "hello"}')
    return page


if __name__ == "__main__":
    main()
