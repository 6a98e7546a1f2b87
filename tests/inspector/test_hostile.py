"""Whatever others have written is text here, can be seen, and stays in its place."""

import pytest
from playwright.sync_api import Browser, expect

from driftline import Bus
from inspector.hubs import serving
from inspector.view import looking

pytestmark = pytest.mark.once

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TOKEN = "<img/src=x/onerror=alert`1`//"  # the same, as a name of a topic can have it
HOSTILE = {
    MARKUP: MARKUP,
    "\u202egnp.exe": "\\u202egnp.exe",
    "zero\u200bwidth": "zero\\u200bwidth",
    "a\x00b\x1b[31m\x7f": "a␀b␛[31m␡",
    "one\ntwo\u2028three": "one␊two\\u2028three",
    "lone \ud800 half": "lone \\ud800 half",
    "שלום": "שלום",
    "👩🏽\u200d🚀 🜁": "👩🏽\u200d🚀 🜁",
}


@pytest.mark.parametrize(("name", "shown"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_names_of_readers_are_text(browser: Browser, name: str, shown: str) -> None:
    bus = Bus()
    with (
        bus.subscribe("news", name=name) as subscription,
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        bus.publish("news", "so that it has a line")
        expect(view.page.locator("#reader-rows bdi").first).to_have_text(shown)
        expect(view.page.locator("#legend bdi").first).to_have_text(shown)
        expect(view.page.locator("#slowest")).to_have_text(f"{shown}, 1 behind")
        expect(view.page.locator("img, main script")).to_have_count(0)
        assert subscription.lag == 1


def test_values_are_text(browser: Browser) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("news")
        for value in HOSTILE:
            bus.publish("news", value)
        expect(view.values).to_have_text(list(HOSTILE.values()))
        bus.publish("news", {MARKUP: [MARKUP]})
        expect(view.values.last).to_have_text(f'{{"{MARKUP}":["{MARKUP}"]}}')
        expect(view.page.locator("img, main script")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (TOKEN, TOKEN),
        ("a.\u202eb", "a.\\u202eb"),
        ("t" * 255, "t" * 255),
        ("__proto__", "__proto__"),
    ],
    ids=["markup", "override", "long", "prototype"],
)
def test_names_of_topics_are_text(browser: Browser, name: str, shown: str) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub, 360) as view:
        bus.publish(name, "first")
        view.topic(shown).get_by_role("button").click()
        expect(view.page.locator("#follow-status")).to_have_text(f"Following {shown}")
        bus.publish(name, "second")
        expect(view.values.last).to_have_text("second")
        expect(view.page.locator("#tail .from").last).to_have_text(shown)
        view.publish(name, "third")
        expect(view.published).to_contain_text(f"Published on {shown} at ")
        expect(view.page.locator("img, main script")).to_have_count(0)
        assert view.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_of_what_is_very_long_the_beginning_is_shown(browser: Browser) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("news")
        bus.publish("news", "x" * 500_000)
        expect(view.values).to_have_text(["x" * 2000 + " … 498,000 characters more"])


def test_what_a_hub_says_is_wrong_is_text(browser: Browser) -> None:
    with serving(Bus()) as hub, looking(browser, hub) as view:
        expect(view.state).to_have_text("live")
        view.publish(MARKUP, "x")
        expect(view.published).to_contain_text(MARKUP)
        expect(view.page.locator("img, main script")).to_have_count(0)
