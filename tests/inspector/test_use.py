"""The page can be used on small and large screens, by keyboard, in both themes, and calmly."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from driftline import Bus
from inspector.hubs import serving
from inspector.view import View, looking

pytestmark = pytest.mark.once

LONG = (
    "a name that is as long as the hub lets a reader have one, and then some more of it, up to here"
)

TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && !each.closest(".unseen, .skip, svg, .scroll"))
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)
    .map((each) => each.outerHTML.slice(0, 100))"""
SCROLLS_SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll(".scroll")]
    .filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.id || each.ariaLabel || each.tagName)"""
FOCUSED = """() => {
    const { activeElement: element } = document, style = getComputedStyle(element);
    const shown = element.type === "radio" && element.name === "measure"
        ? getComputedStyle(element.nextElementSibling) : style;
    const name = element === document.body
        ? null : element.id || element.ariaLabel || element.textContent.trim() || element.value;
    return [name, shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) >= 2];
}"""
OPERABLE = """() => [
        ...document.querySelectorAll("button, input, textarea, a[href], [tabindex='0']")]
    .filter((each) => each.checkVisibility() && !each.disabled && each.type !== "radio")
    .map((each) => each.id || each.ariaLabel || each.textContent.trim() || each.tagName)"""


@contextmanager
def busy(browser: Browser, width: int, **options: Any) -> Iterator[View]:
    """Look at a hub with readers, messages and names that are long."""
    bus = Bus(sizeof=len, replay=10)
    topics = "t" * 255, "orders.eu.created", "-".join(["word"] * 50)
    with ExitStack() as stack:
        for topic in topics:
            stack.enter_context(bus.subscribe(topic, name=LONG))
            for _ in range(3000):
                bus.publish(topic, f"{LONG} {'x' * 300}")
        hub = stack.enter_context(serving(bus))
        view = stack.enter_context(looking(browser, hub, width, **options))
        view.follow(">")
        expect(view.reader(LONG)).to_have_count(3)
        expect(view.values.nth(9)).to_be_visible()
        yield view


@pytest.mark.parametrize("width", [320, 360, 760, 1180, 1600])
def test_nothing_overflows(browser: Browser, width: int) -> None:
    with busy(browser, width) as view:
        view.publish("a..b" * 60, LONG)
        expect(view.published).to_contain_text("Not published")
        assert view.page.evaluate(TOO_WIDE) == []
        assert view.page.evaluate(SCROLLS_SIDEWAYS) == []
        view.page.get_by_role("button", name="Whole values").click()
        assert view.page.evaluate(TOO_WIDE) == []
        assert view.page.evaluate(SCROLLS_SIDEWAYS) == []


@pytest.mark.parametrize("width", [360, 1600])
def test_everything_is_reached_by_the_tab_key_and_shows_that_it_is(
    browser: Browser, width: int
) -> None:
    with busy(browser, width) as view:
        operable = set(view.page.evaluate(OPERABLE))
        reached: list[str] = []
        unseen: list[str] = []
        while len(reached) < 100:
            view.page.keyboard.press("Tab")
            name, is_seen = view.page.evaluate(FOCUSED)
            if name in reached[:1]:
                break
            if name is not None:  # else it was the browser itself
                reached.append(name)
                unseen += [] if is_seen else [name]
        assert unseen == []
        assert operable <= set(reached)
        assert len(reached) < 100  # it came out again


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, label: str) -> None:
    target = page.get_by_label(label, exact=True)
    for _ in range(60):
        if target.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{label} was not reached")


def test_all_can_be_done_by_keyboard(browser: Browser) -> None:
    bus = Bus(sizeof=len)
    with (
        bus.subscribe("few", name="ada"),
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        page = view.page
        expect(view.reader("ada")).to_be_visible()
        press(page, "Tab", "Enter")  # past the head
        expect(page.locator("#readers")).to_be_focused()
        press(page, "Tab", "ArrowRight", "ArrowRight")
        expect(page.get_by_label("bytes", exact=True)).to_be_checked()
        tab_to(page, "Filter readers by name or topic")
        page.keyboard.type("nobody")
        expect(view.reader("ada")).to_have_count(0)
        tab_to(page, "Topic or patterns to follow")
        page.keyboard.type("few")
        press(page, "Enter")
        expect(page.locator("#follow-status")).to_have_text("Following few")
        tab_to(page, "Topic to publish on")
        page.keyboard.type("few")
        tab_to(page, "text")
        press(page, "ArrowRight")
        expect(page.get_by_label("JSON", exact=True)).to_be_checked()
        tab_to(page, "Value")
        page.keyboard.type('"typed"')
        press(page, "Control+Enter")
        expect(view.values).to_have_text(["typed"])


def test_the_theme_is_that_of_the_system_until_another_is_chosen(browser: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with serving(Bus()) as hub, looking(browser, hub, color_scheme="dark") as view:
        switch = view.page.get_by_role("button", name="Dark")
        expect(switch).to_have_attribute("aria-pressed", "true")
        dark = view.page.evaluate(ground)
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", "false")
        light = view.page.evaluate(ground)
        assert light != dark
        view.page.reload()
        expect(switch).to_have_attribute("aria-pressed", "false")
        assert view.page.evaluate(ground) == light
        view.page.emulate_media(color_scheme="light")
        switch.click()
        assert view.page.evaluate(ground) == dark


def test_nothing_moves_by_itself(browser: Browser) -> None:
    moving = """() => [...document.querySelectorAll("body *")].flatMap((each) =>
        [getComputedStyle(each), getComputedStyle(each, "::after")]).filter((style) =>
        style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""
    with busy(browser, 1600) as view:
        assert view.page.evaluate(moving) == 0


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const part = (byte) => byte / 255 <= 0.03928
            ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4;
        const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map(part);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
    };
    return [...document.querySelectorAll("body *")]
        .filter((each) => each.checkVisibility() && !each.disabled && !each.closest("svg, script"))
        .filter((each) => [...each.childNodes].some(({ data }) => data?.trim()))
        .map((each) => {
            const both = [light(getComputedStyle(each).color), light(behind(each))];
            return [(Math.max(...both) + 0.05) / (Math.min(...both) + 0.05), each.outerHTML];
        })
        .filter(([contrast]) => contrast < 4.5)
        .map(([contrast, text]) => `${contrast.toFixed(2)}: ${text.slice(0, 90)}`);
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Browser, theme: str) -> None:
    with busy(browser, 1600, color_scheme=theme) as view:
        view.publish("a b", "x")
        expect(view.published).to_contain_text("Not published")
        assert view.page.evaluate(CONTRAST) == []


def test_everything_has_a_name_for_who_does_not_see_it(browser: Browser) -> None:
    nameless = """() => [...document.querySelectorAll("button, input, textarea, [role=region]")]
        .filter((each) => !(each.ariaLabel || each.labels?.length || each.textContent.trim()))
        .map((each) => each.outerHTML)"""
    with busy(browser, 1600) as view:
        assert view.page.evaluate(nameless) == []
        plot = view.page.get_by_role("img")
        assert f"{LONG}: 3,000" in str(plot.get_attribute("aria-label"))
        expect(view.page.get_by_role("log")).to_have_attribute("aria-live", "off")
        expect(view.page.get_by_role("row")).not_to_have_count(0)
