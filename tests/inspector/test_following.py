"""A topic can be followed, and published to; what goes wrong is said in words."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from driftline import Bus, Subscription
from driftline.hub import Limits
from inspector.hubs import serving
from inspector.view import looking

pytestmark = pytest.mark.once


def received(subscription: Subscription[Any]) -> Any:
    """Wait for a message, in a thread, because Playwright has an event loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(subscription.receive_blocking, 30).result()


def test_what_was_published_and_what_is_published_is_shown(browser: Browser) -> None:
    bus = Bus(replay=10)
    bus.publish("chat.tea", "before")
    bus.publish("chat.tea", {"text": "a lemon", "cups": 2})
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("chat.*")
        expect(view.values).to_have_text(["before", '{"text":"a lemon","cups":2}'])
        bus.publish("chat.tea", b"\x00\xff")
        bus.publish("chat.milk", "after")
        bus.publish("news", "elsewhere")
        expect(view.values).to_have_count(4)
        expect(view.values.nth(2)).to_have_text("00 ff")
        expect(view.values.nth(3)).to_have_text("after")
        expect(view.page.locator("#tail .from").last).to_have_text("chat.milk")
        expect(view.page.locator("#tail .kind")).to_have_text(["", "JSON", "2 B", ""])


def test_another_topic_takes_the_place_of_the_first(browser: Browser) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("one")
        view.follow("two three")
        expect(view.page.locator("#follow-status")).to_have_text("Following three two")
        bus.publish("one", "not wanted any more")
        bus.publish("two", "wanted")
        expect(view.values).to_have_text(["wanted"])
        expect(view.page.locator("#reader-count")).to_have_text("1")
        view.page.get_by_role("button", name="Stop").click()
        expect(view.page.locator("#follow-status")).to_be_empty()
        expect(view.values).to_have_count(0)
        expect(view.page.locator("#reader-count")).to_have_text("0")


def test_while_it_is_paused_nothing_moves_and_the_latest_are_kept(browser: Browser) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("numbers")
        bus.publish("numbers", 1)
        expect(view.values).to_have_text(["1"])
        pause = view.page.get_by_role("button", name="Pause")
        pause.click()
        for number in range(2, 1002):
            bus.publish("numbers", number)
        expect(view.page.locator("#tail-status")).to_contain_text("1,001 messages")
        expect(view.page.locator("#tail-status")).to_contain_text("paused")
        expect(view.values).to_have_text(["1"])
        pause.click()
        expect(view.values.last).to_have_text("1001")
        expect(view.values.first).to_have_text("802")
        expect(view.values).to_have_count(200)


def test_a_topic_that_is_closed_ends(browser: Browser) -> None:
    bus = Bus()
    topic = bus.topic("match")
    with serving(bus) as hub, looking(browser, hub) as view:
        view.follow("match")
        topic.publish("the end")
        topic.close()
        expect(view.values).to_have_text(["the end"])
        expect(view.page.locator("#follow-status")).to_have_text("The topic was closed.")


def test_what_cannot_be_followed_is_said_in_words(browser: Browser) -> None:
    with serving(Bus()) as hub, looking(browser, hub) as view:
        view.page.get_by_label("Topic or patterns to follow").fill("a..b")
        view.page.get_by_role("button", name="Follow", exact=True).click()
        expect(view.page.locator("#follow-status")).to_have_text(
            "Not followed: 'a..b' cannot be a pattern: "
            "a token is empty; tokens are joined by single dots."
        )
        view.follow("a.b")


def test_text_and_json_are_published_as_they_are_typed(browser: Browser) -> None:
    bus = Bus()
    with (
        bus.subscribe("box") as subscription,
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        view.publish("box", ' "quoted"\n{')
        expect(view.published).to_contain_text("Published on box at ")
        assert received(subscription) == ' "quoted"\n{'
        large = 2**60 + 1  # which JavaScript has no number for
        view.publish("box", json.dumps({"large": large, "list": [1, None]}), "JSON")
        assert received(subscription) == {"large": large, "list": [1, None]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{'single': 1}", r"Not published: this is not JSON \(.+\)\."),
        ("", r"Not published: there is no value\."),
        ("NaN", r"Not published: this is not JSON \(.+\)\."),
    ],
)
def test_what_is_not_json_is_refused_in_words(browser: Browser, value: str, words: str) -> None:
    bus = Bus()
    with bus.subscribe("box") as subscription, serving(bus) as hub, looking(browser, hub) as view:
        expect(view.state).to_have_text("live")
        view.publish("box", value, "JSON")
        expect(view.published).to_have_text(re.compile(words))
        view.publish("box", '"JSON"', "JSON")
        assert received(subscription) == "JSON"


def test_what_the_hub_refuses_is_said_in_its_words(browser: Browser) -> None:
    with serving(Bus()) as hub, looking(browser, hub) as view:
        expect(view.state).to_have_text("live")
        view.publish("$statistics", "mine")
        expect(view.published).to_have_text("Not published: names with $ are the hub's own.")
        view.publish("a b", "x")
        expect(view.published).to_contain_text("it has white space")


def test_a_message_that_is_too_large_is_said_to_be(browser: Browser) -> None:
    with (
        serving(Bus(), limits=Limits(message_bytes=1000)) as hub,
        looking(browser, hub) as view,
    ):
        expect(view.state).to_have_text("live")
        view.publish("box", "x" * 2000)
        expect(view.published).to_contain_text("It may not have been published")
        expect(view.state).to_have_text("live")
