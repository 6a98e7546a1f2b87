"""The page shows who reads, how far behind, and how that came."""

import re

import pytest
from playwright.sync_api import Browser, expect

from driftline import Bus
from driftline.hub import Limits
from driftline.protocol import Delivered, Subscribe, parse_event
from inspector.clients import LARGE, reading
from inspector.hubs import serving
from inspector.view import looking

pytestmark = pytest.mark.once


def test_the_lag_of_a_client_grows_and_shrinks_after_it_reads_on(browser: Browser) -> None:
    bus = Bus(sizeof=len)
    with (
        serving(bus, limits=Limits(patience=600, lag_seconds=600)) as hub,
        looking(browser, hub) as view,
        reading(hub, Subscribe(patterns=("films",), name="slow phone")) as client,
    ):
        expect(view.lag("slow phone")).to_have_text("0")
        for _ in range(60):
            bus.publish("films", LARGE)
        expect(view.lag("slow phone")).to_have_text(re.compile(r"^[3-5]\d$"))
        expect(view.page.locator("#legend")).to_contain_text("slow phone")
        for _ in range(100):
            bus.publish("films", LARGE)
        expect(view.lag("slow phone")).to_have_text(re.compile(r"^1[3-5]\d$"))
        expect(view.page.locator("#slowest")).to_contain_text("slow phone, 1")
        expect(view.reader("slow phone").locator(".lag.bytes")).to_contain_text(
            re.compile(r"\d\d? MB")
        )
        for _ in range(160):
            assert isinstance(parse_event(client.recv()), Delivered)
        expect(view.lag("slow phone")).to_have_text("0")
        expect(view.page.locator("#slowest")).to_have_text("nobody is behind")
        # What was is still in its line.
        expect(view.reader("slow phone").locator("path").last).to_have_attribute(
            "d", re.compile(r"^M.*L")
        )


def test_a_reader_that_missed_something_says_how_many_and_why(browser: Browser) -> None:
    bus = Bus()
    with serving(bus) as hub, looking(browser, hub) as view:
        with bus.subscribe("films", name="poster", on_lag="skip", max_lag=10) as poster:
            for number in range(1200):
                bus.publish("films", number)
            assert poster.receive_nowait() == 1190
            row = view.reader("poster")
            expect(row.locator(".missed")).to_have_text("1,190")
            expect(row.locator(".policy")).to_have_text("skip over 10")
            expect(row).to_have_attribute("data-near", "bad")  # 9 of 10
        expect(view.page.locator("#no-readers")).to_have_text("There are no readers.")


def test_the_slowest_is_first_by_what_is_chosen(browser: Browser) -> None:
    bus = Bus(sizeof=len)
    with (
        bus.subscribe("many", name="many small ones"),
        bus.subscribe("few", name="few large ones"),
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        bus.publish("few", LARGE)
        for _ in range(9):
            bus.publish("many", "x")
        first = view.page.locator("#reader-rows tr").first
        expect(first).to_contain_text("many small ones")
        view.page.get_by_text("bytes", exact=True).first.click()
        expect(first).to_contain_text("few large ones")
        view.page.get_by_text("messages", exact=True).first.click()
        expect(first).to_contain_text("many small ones")
        view.page.get_by_text("seconds", exact=True).first.click()
        expect(first).to_contain_text("few large ones")


def test_readers_are_filtered_by_name_and_by_topic(browser: Browser) -> None:
    bus = Bus()
    with (
        bus.subscribe("news.local", name="Ada"),
        bus.subscribe("sport.>", name="Bob"),
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        field = view.page.get_by_label("Filter readers by name or topic")
        expect(view.reader("Ada")).to_be_visible()
        for typed, there, gone in ("aDA", "Ada", "Bob"), ("sport", "Bob", "Ada"):
            field.fill(typed)
            expect(view.reader(there)).to_be_visible()
            expect(view.reader(gone)).to_have_count(0)
        field.fill("nobody")
        expect(view.page.locator("#no-readers")).to_have_text(
            "No reader has that in its name or topic."
        )


def test_topics_have_their_rate_and_all_who_read_them(browser: Browser) -> None:
    bus = Bus()
    with (
        bus.subscribe("news.local", name="ada"),
        bus.subscribe("news.*", "sport.>", name="bob"),
        serving(bus) as hub,
        looking(browser, hub) as view,
    ):
        view.wait_for_statistics()
        cells = view.topic("news.local").locator("td.number")
        expect(cells.last).to_have_text("2")
        expect(cells.first).to_have_text("0")
        for _ in range(50):
            bus.publish("news.local", "rain")
        expect(cells.first).to_have_text(re.compile(r"^(?!0$)[\d.]+$"))
        expect(view.page.locator("#topic-count")).to_have_text("1")
        expect(view.page.locator("#reader-count")).to_have_text("2")
        view.topic("news.local").get_by_role("button").click()
        expect(view.page.locator("#follow-status")).to_have_text("Following news.local")


def test_more_readers_than_the_hub_tells_of_are_counted(browser: Browser) -> None:
    bus = Bus()
    readers = [bus.subscribe("news", name=f"reader {number}") for number in range(230)]
    with serving(bus) as hub, looking(browser, hub) as view:
        expect(view.page.locator("#readers-left-out")).to_be_visible()
        expect(view.page.locator("#readers-left-out")).to_contain_text("30 more are not")
        expect(view.page.locator("#reader-rows tr:not([hidden])")).to_have_count(200)
        for reader in readers:
            reader.close()
        expect(view.page.locator("#readers-left-out")).to_be_hidden()
