"""Hostile texts are shown as text and do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from choregraphie.printable import printable
from tests.saga_monitor.web.shop_history import HOSTILE, hostile

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.saga_monitor.web.served import Served

# `open_page` fails the test for a dialog, a foreign request or an error such as a CSP violation.


@pytest.fixture
def haunted(site: Served) -> Served:
    hostile(site.stream)
    site.read_up()
    site.watch.look()
    return site


def test_the_list_shows_hostile_ids_as_text(haunted: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(haunted.url)
    shown = page.locator("table.instances a.id").all_text_contents()
    assert {printable(id_) for id_ in HOSTILE.values()} <= set(shown)
    assert page.locator("main img, main script, main style, main b[onerror]").count() == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_an_order_with_a_hostile_id_has_its_page(
    haunted: Served, open_page: Callable[..., Page], name: str
) -> None:
    id_ = HOSTILE[name]
    page = open_page(haunted.at("/?limit=100"))
    links = page.locator("table.instances a.id")
    links.nth(links.all_text_contents().index(printable(id_))).click()
    expect(page.locator("h1")).to_have_text(printable(id_))
    expect(page.locator("dd.reason")).to_have_text(printable(id_))
    page.get_by_text("Raw events, read again").click()
    expect(page.locator("pre")).to_have_count(6)
    expect(page.locator("pre").first).to_contain_text("commande.initiee")
    assert page.locator("main img, main script, main style").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_hostile_search_comes_back_as_text(haunted: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(haunted.url)
    page.get_by_label("Search", exact=True).fill(HOSTILE["image"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")
    expect(page.get_by_label("Search", exact=True)).to_have_value(HOSTILE["image"])
    expect(page.locator("table.instances a.id")).to_have_count(1)


def test_a_hostile_address_is_answered_in_text(haunted: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(haunted.at("/sagas/commande/%3Cscript%3Ealert(2)%3C%2Fscript%3E"), expected=("404",))
    expect(page.get_by_role("main")).to_contain_text("No order <script>alert(2)</script> in the history.")
    page = open_page(haunted.at("/?%3Cb%3E=1"), expected=("400",))
    expect(page.get_by_role("main")).to_contain_text("<b> is not a parameter")
    page = open_page(haunted.at("/sagas/commande/%FF%FE%ED%A0%80"), expected=("404",))
    expect(page.get_by_role("main")).to_contain_text("No order")


def test_an_injected_script_would_be_refused_anyway(site: Served, open_page: Callable[..., Page]) -> None:
    """The content security policy holds even if an escape were missing."""
    page = open_page(site.url, expected=("Content Security Policy", "Refused"))
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'owned'";
        document.body.append(script);
        document.body.setAttribute("onclick", "document.title = 'owned'");
        document.body.click();
    }""")
    assert page.title() == "Orders · chorégraphie"
