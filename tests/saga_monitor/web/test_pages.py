"""The content of the pages, which need no script."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from choregraphie import DatabaseRefused
from saga_monitor.web.reader import Reader
from tests.saga_monitor.memory_stream import ASKED, CONFIRMED, Line
from tests.saga_monitor.web.shop_history import seconds
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.saga_monitor.web.served import Served

PAGES = ("/", "/anomalies", "/charts", "/choreography", "/sagas/commande/CMD-LOST", "/raw/commande/CMD-LOST")


def ids(page: Page) -> list[str]:
    return page.locator("table.instances a.id").all_inner_texts()


def test_the_list_has_every_order_with_its_state_in_words(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    assert set(ids(page)) == {f"CMD-000{n}" for n in range(7)} | {
        *("CMD-NEW", "CMD-RUNNING", "CMD-FAILED", "CMD-UNDOING", "CMD-SILENT", "CMD-TWICE", "CMD-LOST"),
    }
    row = page.get_by_role("row").filter(has_text="CMD-LOST")
    expect(row).to_contain_text("RUNNING")
    expect(row).to_contain_text("INTERVENTION")
    expect(row).to_contain_text("STUCK")
    expect(row).to_contain_text("2 retried")
    expect(row).to_contain_text("1 dead")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_read_without_a_script(site: Served, open_page: Callable[..., Page], path: str) -> None:
    page = open_page(site.at(path), java_script_enabled=False)
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_role("link", name="Choreography")).to_be_visible()
    assert page.locator("h1, table, svg.drawing, pre").count() > 0


def test_filters_are_chosen_by_keyboard_alone(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    page.keyboard.press("/")
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.keyboard.type("CMD-S")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=CMD-S*")
    assert ids(page) == ["CMD-SILENT"]
    page.get_by_label("Search", exact=True).fill("")
    page.keyboard.press("Tab")
    expect(page.locator("select[name=state]")).to_be_focused()
    page.keyboard.type("compensating")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**state=COMPENSATING*")
    assert ids(page) == ["CMD-UNDOING"]


@pytest.mark.parametrize(
    ("flag", "found"),
    [("STUCK", {"CMD-SILENT", "CMD-LOST"}), ("INTERVENTION", {"CMD-LOST"}), ("CONTRADICTION", {"CMD-TWICE"})],
)
def test_a_flag_filters(site: Served, open_page: Callable[..., Page], flag: str, found: set[str]) -> None:
    page = open_page(site.at(f"/?flag={flag}"))
    assert set(ids(page)) == found


def test_the_badge_the_page_the_api_and_the_metrics_count_the_same_anomalies(
    site: Served, open_page: Callable[..., Page]
) -> None:
    told = get(site.at("/api/anomalies")).json()["anomalies"]
    number = sum(anomaly["count"] for anomaly in told)
    scraped = get(site.at("/metrics"), follow_redirects=True).text
    samples = re.findall(r"^saga_anomalies\{[^}]*\} ([0-9.]+)$", scraped, re.MULTILINE)
    assert sum(map(float, samples)) == number
    expect(open_page(site.at("/anomalies")).locator(".badge")).to_have_text(str(number))
    expect(open_page(site.at("/anomalies")).locator(".lead").nth(1)).to_contain_text(f"{number} anomalies in ")


def test_paging_shows_every_order_once_and_leads_back(site: Served, open_page: Callable[..., Page]) -> None:
    for number in range(120):
        site.stream.publish(f"CMD-2{number:03d}", CONFIRMED, seconds(30))
    site.read_up()
    page = open_page(site.at("/?q=CMD-2"))
    seen = ids(page)
    for number in (50, 100):
        page.get_by_role("link", name="Older").focus()
        page.keyboard.press("Enter")
        expect(page.locator("table.instances a.id").first).to_have_text(f"CMD-2{119 - number:03d}")
        seen += ids(page)
    assert seen == [f"CMD-2{number:03d}" for number in reversed(range(120))]
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("table.instances a.id").first).to_have_text("CMD-2069")
    page.get_by_role("link", name="Newer").click()
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)
    assert ids(page) == seen[:50]


def test_a_refused_order_tells_its_story(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/sagas/commande/CMD-0002"))
    main = page.get_by_role("main")
    for text in (
        "Cancelled; every undoing was answered within",
        "insufficient balance",
        "stock: undone after 50 ms",
    ):
        expect(main).to_contain_text(text)
    drawing = page.locator("svg.drawing.wide")
    assert drawing.locator(".label").all_text_contents() == [
        "commande.initiee",
        "stock.reserve",
        "✕ paiement.echoue",
        "⊘ commande.annulee",
        "↺ stock.libere",
        "↺ paiement.rembourse",
        "notification.envoyee",
    ]
    assert drawing.locator(".ring").count() == 0


def test_an_order_in_trouble_says_what_remains_and_what_to_do(
    site: Served, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.at("/sagas/commande/CMD-LOST"))
    main = page.get_by_role("main")
    expect(main).to_contain_text("paiement must publish paiement.effectue, or paiement.echoue when it refuses")
    expect(main).to_contain_text("sends it back to paiement")
    expect(main).to_contain_text("2 tries have failed: the gateway did not answer within 5 s")
    # The awaited answer is drawn as awaited.
    assert page.locator("svg.drawing.wide .ring").count() == 1


def test_the_raw_events_are_the_bytes_of_the_stream(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/sagas/commande/CMD-0000"))
    page.get_by_text("Raw events, read again").click()
    expect(page.locator("pre").first).to_contain_text('"specversion": "1.0"')
    assert page.locator("pre").count() == len(CONFIRMED)


def test_the_broker_away_leaves_everything_but_the_raw_events(
    site: Served, open_page: Callable[..., Page]
) -> None:
    site.stream.away = True
    page = open_page(site.at("/sagas/commande/CMD-0000"))
    expect(page.locator(".standing .pill")).to_have_text("broker away")
    expect(page.locator("[data-region=notices]")).to_contain_text("The page shows the state at")
    page.get_by_text("Raw events, read again").click()
    expect(page.locator("#raw")).to_contain_text("The stream cannot be read now: the broker is away")
    assert get(site.at("/readyz")).status_code == 503
    site.stream.away = False
    expect(page.locator(".standing .pill")).to_have_text("live")


def test_anomalies_and_dead_letters_are_told_with_a_reason(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/anomalies"))
    table = page.locator("table.anomalies")
    for text in ("CONTRADICTION", "STUCK", "CMD-SILENT waits for commande.creee", "DEAD LETTER"):
        expect(table).to_contain_text(text)
    expect(page.locator("table.letters")).to_contain_text("paiement.dlq")
    expect(page.locator(".reasons")).to_contain_text("1 every try failed")


def test_the_choreography_counts_what_was_said_and_what_is_awaited(
    site: Served, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.at("/choreography"))
    row = page.get_by_role("row").filter(has_text="stock.reservation_echouee")
    assert row.get_by_role("cell").all_inner_texts()[0] == "1"
    row = page.get_by_role("row").filter(has=page.get_by_text("paiement.effectue", exact=True))
    # CMD-NEW, CMD-RUNNING and CMD-LOST wait for it.
    assert row.get_by_role("cell").all_inner_texts()[-1] == "3"


@pytest.mark.parametrize("window", ["1h", "6h", "24h", "7d"])
def test_charts_have_the_same_values_in_a_table(site: Served, open_page: Callable[..., Page], window: str) -> None:
    page = open_page(site.at(f"/charts?window={window}"))
    assert page.locator("figure svg[role=img]").count() == 4
    page.locator("#outcomes summary").click()
    cells = page.locator("#outcomes tbody td:nth-of-type(2)").all_inner_texts()
    # Cancelled and undone: six stories, one of which was settled by its deadline.
    assert sum(map(int, cells)) == 6


def test_a_demand_to_cancel_what_was_never_placed_says_so(site: Served, open_page: Callable[..., Page]) -> None:
    site.stream.publish("CMD-ASKED", [ASKED], seconds(1))
    site.stream.publish("CMD-HEADLESS", [Line("stock.reserve")], seconds(1))
    site.read_up()
    page = open_page(site.at("/?state=UNKNOWN"))
    row = page.get_by_role("row").filter(has_text="CMD-ASKED")
    expect(row).to_contain_text("nothing: never begun")
    headless = page.get_by_role("row").filter(has_text="CMD-HEADLESS")
    expect(headless).to_contain_text("nothing: its beginning was not heard")
    row.get_by_role("link").click()
    expect(page.get_by_role("main")).to_contain_text(
        "Unknown order: a cancellation was asked for, and no such order has begun;"
        " kept in case the order comes. Nothing is awaited."
    )


@pytest.mark.parametrize(
    ("path", "status"), [("/sagas/commande/CMD-NOPE", "404"), ("/?stat=1", "400"), ("/nothing", "404")]
)
def test_where_something_is_wrong_the_way_to_the_pages_is_there(
    site: Served, open_page: Callable[..., Page], path: str, status: str
) -> None:
    page = open_page(site.at(path), expected=(status,))
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Charts").click()
    expect(page.get_by_role("heading", name="Charts")).to_be_visible()


def test_an_address_that_no_program_can_ask_says_which_there_are(site: Served) -> None:
    answer = get(site.at("/api/order"))
    assert (answer.status_code, "/api/instances/{saga}/{key}" in answer.json()["error"]) == (404, True)


def test_an_unknown_order_and_a_bad_parameter_are_one_clear_line(
    site: Served, open_page: Callable[..., Page]
) -> None:
    page = open_page(site.at("/sagas/commande/CMD-NOPE"), expected=("404",))
    expect(page.get_by_role("main")).to_contain_text("No order CMD-NOPE in the history.")
    expect(page.get_by_role("link", name="All orders")).to_be_visible()
    for query, text in {
        "stat=NEW": "stat is not a parameter; did you mean state?",
        "state=BLUE": "state: expected one of IN_FLIGHT, NEW,",
        "limit=0": "limit: expected a whole number from 1 to 200",
        "after=x": "after: not a place in this list",
        "after=1&before=2": "after and before exclude each other",
        "q=%00": "q: no key holds such a character",
    }.items():
        answer = get(site.at(f"/api/orders?{query}"))
        assert (answer.status_code, answer.json()["error"][: len(text)]) == (400, text)
        assert get(site.at(f"/?{query}")).status_code == 400
    assert get(site.at("/charts?window=2h")).status_code == 400
    assert httpx.post(site.url).status_code == 405


def test_the_api_says_the_same_as_the_command_line(site: Served) -> None:
    found = get(site.at("/api/orders?limit=5")).json()
    assert len(found["orders"]) == 5
    older = get(site.at(found["older"])).json()["orders"]
    assert not {o["commande_id"] for o in found["orders"]} & {o["commande_id"] for o in older}
    one = get(site.at("/api/orders/CMD-LOST")).json()
    assert one["dead_letters_set_aside"][0]["reason"] == "exhausted"
    assert get(site.at("/api/orders/CMD-NOPE")).status_code == 404
    assert get(site.at("/api/report")).json()["sagas"]["total"] == 14
    kinds = {anomaly["kind"] for anomaly in get(site.at("/api/anomalies")).json()["anomalies"]}
    assert {"contradiction", "stuck", "dead_letter"} <= kinds
    assert get(site.at("/livez")).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DatabaseRefused("var/monitor.sqlite3: database is locked"), 503, "database is locked"),
        (RuntimeError("a secret place"), 500, "Internal error; see the monitor's log."),
    ],
)
def test_trouble_is_one_clear_line_and_no_traceback(
    site: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, text: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Reader, "page", fail)
    page, program = get(site.url), get(site.at("/api/orders"))
    assert (page.status_code, program.status_code) == (status, status)
    assert text in html.unescape(page.text)
    assert text in program.json()["error"]
    assert "Traceback" not in page.text
    assert "secret" not in page.text + program.text
    monkeypatch.undo()
    assert get(site.url).status_code == 200
