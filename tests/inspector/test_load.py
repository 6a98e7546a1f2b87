"""The page stays smooth, and keeps little, however much is published and however many read."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from time import monotonic

import pytest

from driftline import Bus
from inspector.bare import BarePage, bare_page
from inspector.hubs import page_of, serving

pytestmark = pytest.mark.once

READERS = 1000
RATE = 10_000  # messages a second
SOME = 1_000  # likewise; at the other one, a machine that is busy gets to nothing else
FRAMES = 100

WATCH_FRAMES = """(frames) => new Promise((resolve) => {
    const apart = [];
    let before = performance.now();
    const step = () => {
        const now = performance.now();
        apart.push(now - before);
        before = now;
        if (apart.length < frames) requestAnimationFrame(step);
        else resolve(apart.sort((one, other) => one - other));
    };
    requestAnimationFrame(step);
})"""
MOST_ROWS = """() => new Promise((resolve) => {
    let most = 0, changes = 0;
    new MutationObserver((_, observer) => {
        most = Math.max(most, document.getElementById("tail").children.length);
        changes += 1;
        if (changes >= 20) { observer.disconnect(); resolve(most); }
    }).observe(document.getElementById("tail"), { childList: true, subtree: true });
})"""


@contextmanager
def flooded(bus: Bus, rate: int) -> Iterator[None]:
    """Publish at a rate from a thread while a block runs."""
    over = Event()

    def publish() -> None:
        began = monotonic()
        published = 0
        while not over.wait(0.005):
            due = round((monotonic() - began) * rate) - published
            for topic in "load.a", "load.b":
                bus.topic(topic).publish_many([f"message {published}"] * (due // 2))
            published += due // 2 * 2

    thread = Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def under_load(rate: int) -> Iterator[BarePage]:
    """Look at a hub with so many readers, of whom none reads, and follow what is published."""
    bus = Bus(limit=1000)
    with ExitStack() as stack:
        for number in range(READERS):
            stack.enter_context(bus.subscribe("load.*", name=f"reader {number}", on_lag="skip"))
        hub = stack.enter_context(serving(bus))
        page = stack.enter_context(bare_page(page_of(hub)))
        page.wait_for("byId('state').textContent === 'live'")
        page.wait_for("document.querySelectorAll('#reader-rows tr').length === 200")
        stack.enter_context(flooded(bus, rate))
        page.evaluate("byId('patterns').value = 'load.>'; byId('patterns').form.requestSubmit()")
        page.wait_for("byId('tail-status').textContent.includes('the last 200 are kept')")
        yield page


@pytest.mark.usefixtures("chromium")
def test_frames_go_on_and_what_is_kept_is_bounded() -> None:
    with under_load(RATE) as page:
        apart = page.evaluate(f"({WATCH_FRAMES})({FRAMES})")
        assert page.evaluate(f"({MOST_ROWS})()") <= 200
        # One that could not keep up would have a frame in seconds.
        assert apart[FRAMES // 2] < 250
        assert apart[-1] < 5000


@pytest.mark.usefixtures("chromium")
def test_it_can_be_used_meanwhile() -> None:
    with under_load(SOME) as page:
        page.evaluate(
            "byId('filter').value = 'reader 7'; byId('filter').dispatchEvent(new Event('input'))"
        )
        page.wait_for(
            "document.querySelector('#reader-rows tr').textContent.startsWith('reader 7')"
        )
        page.evaluate("byId('pause').click()")
        page.wait_for("byId('tail-status').textContent.includes('paused')")
        page.evaluate("byId('publish-topic').value = 'load.mine'")
        page.evaluate("byId('publish-topic').form.requestSubmit()")
        page.wait_for("byId('publish-status').textContent.startsWith('Published on load.mine')")
        page.evaluate("byId('stop').click()")
        page.wait_for("byId('tail').children.length === 0")
