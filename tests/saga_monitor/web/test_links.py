"""Every link leads to a page, for hostile ids too; a key without an order has its own page."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from choregraphie.saga.topology import DETAIL_HEADER, REASON_HEADER, dlx
from tests.saga_monitor.web.shop_history import hostile, seconds, without_an_order
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.saga_monitor.web.served import Served

REFUSED = (
    b'{"specversion": "1.0", "id": "e-1", "type": "commande.initiee", "source": "/clients/boutique",'
    b' "data": {"commande_id": "CMD-MINUS", "montant": -5}}'
)


class Links(HTMLParser):
    """Collects the addresses in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attributes: list[tuple[str, str | None]]) -> None:
        wanted = ("href", "src", "action", "data-from")
        self.found += [value for name, value in attributes if name in wanted and value]


@pytest.fixture
def mixed(site: Served) -> Served:
    hostile(site.stream)
    without_an_order(site.stream)
    site.read_up()
    site.watch.look()
    return site


def set_aside(site: Served, body: bytes = REFUSED) -> int:
    headers = {REASON_HEADER: "invalid", DETAIL_HEADER: "data.montant: greater_than", "x-<b>": "<i>&"}
    site.stream.add(body, dlx("stock"), headers, seconds(5))
    site.read_up()
    site.watch.look()
    return site.stream.next - 1


def as_sent(url: str, link: str) -> str:
    """The address that a browser requests: the path resolved, without the fragment."""
    return urlsplit(urljoin(url, link))._replace(fragment="").geturl()


def test_every_link_of_every_page_leads_somewhere(mixed: Served) -> None:
    waiting, answered = [mixed.url], {}
    with httpx.Client() as client:
        while waiting:
            url = waiting.pop()
            if url in answered or not url.startswith(mixed.url):
                continue
            answer = client.get(url)
            answered[url] = answer.status_code
            if answer.headers["content-type"].startswith("text/html"):
                waiting += [as_sent(url, link) for link in Links(answer.text).found]
    assert {url: status for url, status in answered.items() if status != 200} == {}
    of_kinds = {urlsplit(url).path.split("/")[1] for url in answered}
    assert {"sagas", "letters", "raw", "anomalies", "charts", "choreography"} <= of_kinds
    assert len([url for url in answered if "/letters/" in url]) >= 20


def test_every_id_that_a_program_is_given_can_be_asked_for(mixed: Served) -> None:
    with httpx.Client(base_url=mixed.url) as client:
        found = client.get("/api/anomalies").json()["anomalies"]
        ids = {anomaly["commande_id"] for anomaly in found if anomaly["commande_id"]}
        offsets = {anomaly["letter"] for anomaly in found if anomaly["letter"] is not None}
        orders = client.get("/api/orders", params={"limit": 200}).json()["orders"]
        ids |= {order["commande_id"] for order in orders}
        asked = {id_: client.get("/api/instances/commande", params={"key": id_}).status_code for id_ in ids}
        asked |= {offset: client.get(f"/api/letters/{offset}").status_code for offset in offsets}
    assert {about: status for about, status in asked.items() if status != 200} == {}
    assert len(ids) > 30
    assert offsets


def test_a_refused_order_leads_to_its_message(site: Served, open_page: Callable[..., Page]) -> None:
    set_aside(site)
    page = open_page(site.at("/anomalies"))
    page.locator("table.anomalies").get_by_role("link", name="CMD-MINUS", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("No order began under this id")
    page.get_by_role("link", name="message").click()
    main = page.get_by_role("main")
    expect(page.locator("#bytes")).to_contain_text(REFUSED.decode())
    expect(main).to_contain_text("stock set commande.initiee aside: it is not valid")
    expect(main).to_contain_text("takes it out of stock.dlq.")
    expect(main).to_contain_text("python -m saga_monitor history --all --key=CMD-MINUS")
    expect(page.locator("dl.headers")).to_contain_text(REASON_HEADER)
    expect(page.locator("dl.headers")).to_contain_text("<i>&")
    assert page.locator("main i, main b[onerror]").count() == 0


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "0 bytes"),
        (b"\x00\xff\xfe<b>", "000000  00 ff fe 3c 62 3e"),
        ("é".encode() * 3000, "6000 bytes, of which the first 4096 are shown"),
        ("\u202e\x1b[2J".encode(), "\\u202e\\x1b[2J"),
    ],
    ids=["empty", "binary", "long", "control"],
)
def test_bytes_are_shown_as_what_they_are(
    site: Served, body: bytes, shown: str, open_page: Callable[..., Page]
) -> None:
    offset = set_aside(site, body)
    page = open_page(site.at("/anomalies"))
    page.get_by_role("link", name=f"message {offset}").first.click()
    expect(page.get_by_role("main")).to_contain_text(shown)
    letter = get(site.at(f"/api/letters/{offset}")).json()
    assert (letter["size"], base64.b64decode(letter["body_base64"])) == (len(body), body[:4096])


@pytest.mark.parametrize("offset", ["0", "999999", "9" * 40])
def test_an_offset_without_a_letter_is_said_in_one_line(site: Served, offset: str) -> None:
    assert get(site.at(f"/letters/{offset}")).status_code == 404
    assert "No dead letter is known at offset" in get(site.at(f"/api/letters/{offset}")).json()["error"]


@pytest.mark.parametrize(
    "address",
    [
        *("/sagas/commande/{id}?at=10m", "/sagas/commande?key={id}&at=10m", "/raw/commande/{id}?at=10m"),
        *(
            "/keys/{id}?at=10m",
            "/orders/{id}?at=10m",
            "/api/orders/{id}?at=10m",
            "/api/instances/commande/{id}?at=10m",
        ),
    ],
)
def test_a_parameter_that_an_orders_page_does_not_use_is_refused(site: Served, address: str) -> None:
    answer = get(site.at(address.format(id="BRK")))
    assert answer.status_code == 400
    assert "at is not a parameter" in answer.text
