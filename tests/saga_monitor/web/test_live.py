"""An open page stays current and does not jump."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
from playwright.sync_api import expect

from saga_monitor.web.access import Access
from saga_monitor.web.live_updates import MOST_LISTENERS
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PAID, Stream
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.shop_history import seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.saga_monitor.web.served import Served


def test_a_new_order_appears_by_itself_and_moves_on(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    at = seconds(1)
    site.stream.publish("CMD-FRESH", HELD, at)
    row = page.get_by_role("row").filter(has_text="CMD-FRESH")
    expect(row).to_contain_text("RUNNING")
    expect(page.locator(".tile.all .count")).to_have_text("15")
    site.stream.publish("CMD-FRESH", CONFIRMED[len(HELD) :], at)
    expect(row).to_contain_text("COMPLETED")


def test_an_order_s_page_grows_with_the_order(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/sagas/commande/CMD-RUNNING"))
    labels = page.locator("svg.drawing.wide .label")
    expect(labels).to_have_count(2)
    site.stream.publish("CMD-RUNNING", PAID[len(HELD) :], seconds(1))
    expect(labels).to_have_count(3)
    expect(page.locator("table.timeline tbody tr")).to_have_count(3)


def test_what_has_the_focus_keeps_it_when_the_list_changes(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    page.get_by_role("link", name="CMD-SILENT").focus()
    site.stream.publish("CMD-FRESH", HELD, seconds(1))
    expect(page.get_by_role("link", name="CMD-FRESH")).to_be_visible()
    expect(page.get_by_role("link", name="CMD-SILENT")).to_be_focused()


def test_what_is_typed_is_not_taken_away(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    page.get_by_label("Search", exact=True).press_sequentially("CMD-0")
    site.stream.publish("CMD-FRESH", HELD, seconds(1))
    expect(page.get_by_role("link", name="CMD-FRESH")).to_be_visible()
    expect(page.get_by_label("Search", exact=True)).to_have_value("CMD-0")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()


def test_pause_holds_the_page_still(site: Served, open_page: Callable[..., Page]) -> None:
    """Another page is updated twice in the same time."""
    page, beside = open_page(site.url), open_page(site.url)
    page.get_by_role("button", name="Pause").click()
    for id_ in ("CMD-FRESH", "CMD-SECOND"):
        site.stream.publish(id_, HELD, seconds(1))
        expect(beside.get_by_role("link", name=id_)).to_be_visible()
    expect(page.get_by_role("link", name="CMD-FRESH")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="CMD-SECOND")).to_be_visible()


def test_a_monitor_that_is_gone_is_said_on_the_page(
    tmp_path: Path, stream: Stream, open_page: Callable[..., Page]
) -> None:
    stream.publish("CMD-1", HELD, seconds(1))
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        site.read_up()
        page = open_page(site.url, expected=("ERR_", "Failed to load"))
        expect(page.get_by_role("link", name="CMD-1")).to_be_visible()
    expect(page.get_by_text("The monitor does not answer.")).to_be_visible()
    expect(page.get_by_role("link", name="CMD-1")).to_be_visible()


def test_no_more_listen_than_may_however_they_come(tmp_path: Path, stream: Stream) -> None:
    """All listeners connect at once, as after a restart."""

    async def come(url: str) -> list[int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client, contextlib.AsyncExitStack() as stack:
            asked = [stack.enter_async_context(client.stream("GET", url)) for _ in range(MOST_LISTENERS + 20)]
            return sorted(answer.status_code for answer in await asyncio.gather(*asked))

    with served(tmp_path / "monitor.sqlite3", stream) as site:
        for _ in range(2):  # the places of closed listeners are free
            with ThreadPoolExecutor(1) as thread:
                statuses = thread.submit(asyncio.run, come(site.at("/changes"))).result()
            assert statuses == [200] * MOST_LISTENERS + [503] * 20
            site.until(lambda: site.updates.listeners == 0)


def test_a_raw_page_that_is_left_open_asks_the_stream_once(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/raw/commande/CMD-RUNNING"))
    expect(page.locator("pre")).to_have_count(2)
    sessions = site.stream.sessions
    with page.expect_response(lambda answer: "/sagas/commande/CMD-RUNNING" in answer.url):
        site.stream.publish("CMD-FRESH", HELD, seconds(1))
    assert site.stream.sessions == sessions
    expect(page.locator("pre")).to_have_count(2)


def test_leaving_listeners_are_let_go_and_the_server_ends(tmp_path: Path, stream: Stream) -> None:
    """`served` asserts that its thread ends."""
    heard = threading.Event()

    def listen(url: str) -> None:
        with httpx.stream("GET", url, timeout=30) as answer:
            for line in answer.iter_lines():
                if line.startswith("event: changed"):
                    heard.set()

    with served(tmp_path / "monitor.sqlite3", stream, Access()) as site:
        thread = threading.Thread(target=listen, args=(site.at("/changes"),))
        thread.start()
        assert heard.wait(60)
    thread.join(60)
    assert not thread.is_alive()
