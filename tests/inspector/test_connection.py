"""The page connects anew by itself, and asks for a token when it needs one."""

import re
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Request, expect

from driftline import Bus
from driftline.hub import Limits, Tokens
from inspector.hubs import page_of, serving
from inspector.view import View, looking

pytestmark = pytest.mark.once

REFUSED = "ERR_CONNECTION_REFUSED"  # what a browser writes of a hub that is not there


def test_it_goes_on_when_the_hub_comes_back_on_the_same_port(browser: Browser) -> None:
    bus = Bus()
    with ExitStack() as first:
        hub = first.enter_context(serving(bus))
        with looking(browser, hub) as view:
            view.forgiven.append(REFUSED)
            view.follow("news")
            bus.publish("news", "before")
            expect(view.values).to_have_text(["before"])

            first.close()
            expect(view.state).to_have_text("the hub was stopped")
            expect(view.state).to_have_attribute("data-state", "lost")
            expect(view.page).to_have_title("driftline (not connected)")
            expect(view.page.locator("#next")).to_have_text(re.compile(r"next attempt in \d+ s"))
            view.publish("news", "to nobody")
            expect(view.published).to_have_text("Not published: there is no connection to the hub.")
            bus.publish("news", "meanwhile")

            with serving(bus, port=hub.port):
                expect(view.state).to_have_text("live")
                expect(view.page.locator("#next")).to_be_empty()
                expect(view.page.locator("#reader-count")).to_have_text("1")
                bus.publish("news", "after")
                expect(view.values).to_have_text(["before", "after"])
                expect(view.page.locator("#tail .note")).to_contain_text("the connection was lost")


def test_attempts_come_less_often_and_at_once_when_it_is_told_to(browser: Browser) -> None:
    bus = Bus()
    with ExitStack() as first:
        hub = first.enter_context(serving(bus))
        with looking(browser, hub) as view:
            view.forgiven.append(REFUSED)
            expect(view.state).to_have_text("live")
            first.close()
            expect(view.page.locator("#next")).to_have_text(re.compile(r"in (9|1\d) s"))
            with serving(bus, port=hub.port):
                view.page.get_by_role("button", name="Try now").click()
                expect(view.state).to_have_text("live", timeout=7000)


def give(view: View, token: str) -> None:
    view.page.get_by_label("Token", exact=True).get_by_role("textbox").fill(token)
    view.page.get_by_role("button", name="Use it").click()


def test_a_token_is_asked_for_and_kept_for_the_tab_only(browser: Browser) -> None:
    grants = Tokens({"s3cret": {"read": [">"], "publish": ["chat.>"]}})
    bus = Bus()
    with serving(bus, authorize=grants) as hub, looking(browser, hub) as view:
        reason = view.page.locator("#token-reason")
        expect(reason).to_contain_text("$statistics may not be read")
        expect(view.page.locator("#token-text")).to_be_focused()
        give(view, "a guess")
        expect(reason).to_contain_text("there is no such token")
        assert view.page.evaluate("sessionStorage.length") == 0
        give(view, "s3cret")
        expect(view.page.locator("#token")).to_be_hidden()
        view.wait_for_statistics()

        view.publish("news", "x")
        expect(view.published).to_have_text("Not published: news may not be published to.")
        expect(reason).to_contain_text("news may not be published to")
        view.page.get_by_role("button", name="Not now").click()
        view.publish("chat.tea", "x")
        expect(view.published).to_contain_text("Published on chat.tea")

        view.page.reload()
        view.wait_for_statistics()
        expect(view.page.locator("#token")).to_be_hidden()
        assert view.page.evaluate("Object.values(sessionStorage)") == ["s3cret"]
        kept_elsewhere = "JSON.stringify(localStorage) + document.cookie + location.href"
        assert "s3cret" not in view.page.evaluate(kept_elsewhere)

        view.page.get_by_role("button", name="Token").click()
        view.page.get_by_role("button", name="Forget it").click()
        expect(reason).to_contain_text("$statistics may not be read")
        assert view.page.evaluate("sessionStorage.length") == 0


def test_what_was_to_be_followed_begins_with_the_token(browser: Browser) -> None:
    grants = Tokens({None: {"read": ["$statistics"]}, "s3cret": {"read": [">"]}})
    bus = Bus()
    with serving(bus, authorize=grants) as hub, looking(browser, hub) as view:
        view.wait_for_statistics()
        view.page.get_by_label("Topic or patterns to follow").fill("news")
        view.page.get_by_role("button", name="Follow", exact=True).click()
        expect(view.page.locator("#follow-status")).to_have_text(
            "Not followed: news may not be read."
        )
        give(view, "s3cret")
        expect(view.page.locator("#follow-status")).to_have_text("Following news")
        bus.publish("news", "rain")
        expect(view.values).to_have_text(["rain"])


def test_a_right_that_is_taken_away_is_said_to_be(browser: Browser) -> None:
    allowed = {"$statistics", "news"}
    bus = Bus()
    with (
        serving(
            bus,
            authorize=lambda _, action, name: name in allowed and action == "read",
            limits=Limits(recheck_seconds=0.1),
        ) as hub,
        looking(browser, hub) as view,
    ):
        view.follow("news")
        allowed.remove("news")
        expect(view.page.locator("#notice")).to_contain_text("news may not be read any more")
        expect(view.page.locator("#follow-status")).to_have_text("The hub has ended this.")
        view.page.get_by_role("button", name="Dismiss").click()
        expect(view.page.locator("#notice")).to_be_hidden()


def test_it_asks_for_one_page_and_one_connection_and_nothing_else(browser: Browser) -> None:
    asked: list[str] = []
    with serving(Bus()) as hub, browser.new_context() as context:
        page = context.new_page()

        def note(request: Request) -> None:
            asked.append(request.url)

        page.on("request", note)
        page.on("websocket", lambda websocket: asked.append(websocket.url))
        page.goto(page_of(hub))
        expect(page.locator("#state")).to_have_text("live")
        assert [url for url in asked if not url.startswith("data:")] == [page_of(hub), hub.url]


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("fetch('http://127.0.0.1:9/').catch(() => {})", "Content Security Policy"),
        ("new Image().src = 'http://127.0.0.1:9/'", "Content Security Policy"),
        ("setTimeout(() => { document.body.innerHTML = '<p>' })", "TrustedHTML"),
        ("console.error('it is broken')", "it is broken"),
        ("setTimeout(() => { throw new Error('it is broken') })", "it is broken"),
        ("setTimeout(() => alert('it is broken'))", "it is broken"),
    ],
)
def test_it_would_be_noticed_if_the_page_did_what_it_must_not(
    browser: Browser, script: str, complaint: str
) -> None:
    def run() -> None:
        with serving(Bus()) as hub, looking(browser, hub) as view:
            expect(view.state).to_have_text("live")
            view.page.evaluate(script)
            view.wait_for_statistics()

    with pytest.raises(AssertionError, match=complaint):
        run()
