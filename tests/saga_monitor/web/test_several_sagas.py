"""The web page of an application of several sagas: all of them, or the one that an address names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import inbox
from tests.saga_monitor.several_history import SAME, several_kinds
from tests.saga_monitor.web.served import Served, served
from tests.saga_monitor.web.shop_history import seconds
from tests.saga_monitor.web.test_links import Links, as_sent
from tests.support.http_get import get
from tests.support.several_sagas import SEVERAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.saga_monitor.memory_stream import Stream

SAGAS = ("commande", "retour", "voyage")


@pytest.fixture
def several(tmp_path: Path, stream: Stream) -> Iterator[Served]:
    several_kinds(stream, seconds(300))
    with served(tmp_path / "monitor.sqlite3", stream, sagas=SEVERAL.saga_set) as site:
        site.read_up()
        site.watch.look()
        yield site


def read(site: Served, path: str) -> Any:
    return get(site.at(path)).json()


def rows(page: Page) -> set[tuple[str, str]]:
    """The saga and the key of each row of the list."""
    found = page.locator("table.instances tbody tr").evaluate_all("rows => rows.map(row => row.dataset.key)")
    return {tuple(one.split("/", 1)) for one in found}


def test_the_list_has_a_column_for_the_saga_and_is_narrowed_to_one(
    several: Served, open_page: Callable[..., Page]
) -> None:
    page = open_page(several.url)
    assert rows(page) >= {(saga, SAME) for saga in SAGAS}
    expect(page.locator("table.instances thead")).to_contain_text("Saga")
    expect(page.locator(".tile.all")).to_contain_text("all instances")
    page.get_by_role("navigation", name="Saga").get_by_role("link", name="voyage").click()
    assert rows(page) == {("voyage", SAME), ("voyage", "V-2")}
    expect(page.locator("table.instances thead")).not_to_contain_text("Saga")
    expect(page.locator(".tile.all")).to_contain_text("all voyages")
    expect(page.locator(".tile.all .count")).to_have_text("2")
    # Filters and the other pages stay with the saga.
    page.locator("#q").fill("same")
    page.get_by_role("button", name="Filter").click()
    assert rows(page) == {("voyage", SAME)}
    page.get_by_role("link", name="Charts").click()
    assert "saga=voyage" in page.url
    expect(page.get_by_role("main")).to_contain_text("Voyages a minute")


@pytest.mark.parametrize("saga", SAGAS)
def test_an_instances_page_is_of_its_saga_alone(
    several: Served, open_page: Callable[..., Page], saga: str
) -> None:
    page = open_page(several.at(f"/sagas/{saga}/{SAME}"))
    main = page.get_by_role("main")
    expect(page.get_by_role("heading", level=1)).to_have_text(SAME)
    types = page.locator("table.timeline th.event").all_inner_texts()
    own = {"commande": "notification.envoyee", "retour": "stock.retour_recu", "voyage": "vol.reserve"}
    assert [name for name, type_ in own.items() if any(type_ in shown for shown in types)] == [saga]
    expect(main).to_contain_text(saga)
    if saga == "voyage":
        expect(main).to_contain_text("hotel must publish hotel.reserve, or hotel.complet when it refuses")
        assert page.locator(".drawing.wide .lane-name").all_text_contents() == [
            *("client", "vol", "hotel", "paiement", "agence")
        ]


def test_a_key_of_several_sagas_is_a_choice(several: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(several.at(f"/keys/{SAME}"))
    expect(page.get_by_role("main")).to_contain_text("Several sagas have this key.")
    page.get_by_role("main").get_by_role("link", name=SAME).nth(2).click()
    assert page.url.endswith(f"/sagas/voyage/{SAME}")
    assert get(several.at("/keys/V-2")).headers["location"] == "/sagas/voyage/V-2"


def test_each_choreography_has_its_drawing(several: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(several.at("/choreography"))
    expect(page.get_by_role("main")).to_contain_text("commande.initiee")
    page.get_by_role("navigation", name="Saga").get_by_role("link", name="voyage").click()
    expect(page.get_by_role("main")).to_contain_text("voyages await it now")
    assert set(page.locator("table.counts th.event").all_inner_texts()) == {
        event.TYPE for event in SEVERAL.saga_set.by_name["voyage"].events
    }


def test_anomalies_name_the_saga_of_each(several: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(several.at("/anomalies"))
    expect(page.locator("table.anomalies")).to_contain_text(f"voyage {SAME}")
    page.get_by_role("navigation", name="Saga").get_by_role("link", name="retour").click()
    expect(page.locator("table.anomalies")).not_to_contain_text("vol.")
    expect(page.locator("table.letters")).to_contain_text(SAME)


def test_a_page_of_one_saga_counts_what_is_wrong_with_it_alone(several: Served) -> None:
    several.watch.look(dict.fromkeys((inbox(service) for service in SEVERAL.saga_set.services), QueueCount(0, 1)))
    everything, of_return = read(several, "/api/anomalies"), read(several, "/api/anomalies?saga=retour")
    assert 0 < of_return["total"] < everything["total"]
    for path, total in (("/", everything["total"]), ("/?saga=retour", of_return["total"])):
        assert f">{total}</span>" in re.findall(r'class="badge".*', get(several.at(path)).text)[0]
    assert of_return["total"] == read(several, "/api/report?saga=retour")["anomalies"]
    assert "in the queues now" in get(several.at("/anomalies")).text
    assert "in the queues now" not in get(several.at("/anomalies?saga=retour")).text
    assert 'href="/anomalies?saga=retour#dead-letters"' in get(several.at("/?saga=retour")).text
    assert 'href="/anomalies#dead-letters"' in get(several.url).text


def test_a_program_asks_for_all_sagas_or_for_one(several: Served) -> None:
    everything = read(several, "/api/instances")["instances"]
    assert {one["saga"] for one in everything} == set(SAGAS)
    of_voyage = read(several, "/api/instances?saga=voyage")["instances"]
    assert {one["voyage_id"] for one in of_voyage} == {SAME, "V-2"}
    assert read(several, "/api/voyages")["voyages"] == of_voyage
    first = read(several, "/api/voyages?limit=1")
    assert read(several, first["older"])["voyages"] == of_voyage[1:]
    for saga, noun in zip(SAGAS, ("orders", "returns", "voyages"), strict=True):
        one = read(several, f"/api/instances/{saga}/{SAME}")
        assert one["saga"] == saga
        assert read(several, f"/api/{noun}/{SAME}") == one
        assert read(several, f"/api/instances/{saga}?key={SAME}") == one
    report = read(several, "/api/report")
    assert report["by_saga"]["retour"] == read(several, "/api/report?saga=retour")
    found = read(several, "/api/anomalies?saga=voyage")
    assert {one["saga"] for one in found["anomalies"]} == {"voyage"}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/instances?saga=vol", 400, "saga: expected one of commande, retour, voyage"),
        ("/api/instances/vol/X", 404, "There is no such saga; there are: commande, retour, voyage."),
        (f"/api/instances/commande/{SAME}?saga=retour", 400, "saga is not a parameter"),
        ("/api/instances/voyage/R-2", 404, "No voyage R-2 in the history."),
    ],
)
def test_a_saga_that_is_not_declared_is_refused(several: Served, path: str, status: int, words: str) -> None:
    answer = get(several.at(path))
    assert (answer.status_code, words in answer.json()["error"]) == (status, True)


def test_every_link_of_every_page_leads_somewhere(several: Served) -> None:
    waiting, answered = [several.url], {}
    with httpx.Client(follow_redirects=True) as client:
        while waiting:
            url = waiting.pop()
            if url not in answered and url.startswith(several.url):
                answer = client.get(url)
                answered[url] = answer.status_code
                if answer.headers["content-type"].startswith("text/html"):
                    waiting += [as_sent(url, link) for link in Links(answer.text).found]
    assert {url: status for url, status in answered.items() if status != 200} == {}
    assert {found[1] for url in answered if (found := re.search(r"/sagas/(\w+)/", url))} == set(SAGAS)


def test_the_metrics_are_counted_saga_by_saga(several: Served) -> None:
    scraped = get(several.at("/metrics")).text
    assert 'saga_instances_started_total{saga="retour"} 3.0' in scraped
    assert 'saga_instances{saga="voyage",state="running"} 1.0' in scraped
    assert 'saga_step_duration_seconds_count{saga="voyage",step="reglement"} 1.0' in scraped
    assert 'saga_dead_letters_total{reason="exhausted",saga="retour",service="paiement"} 1.0' in scraped
    assert SAME not in scraped


def test_one_saga_shows_no_saga(site: Served, open_page: Callable[..., Page]) -> None:
    for path in ("/", "/anomalies", "/charts", "/choreography", "/sagas/commande/CMD-LOST"):
        page = open_page(site.at(path))
        expect(page.get_by_role("navigation", name="Saga")).to_have_count(0)
        expect(page.locator("main th", has_text=re.compile("^Saga$"))).to_have_count(0)
    moved = get(site.at("/orders/CMD-LOST"))
    assert (moved.status_code, moved.headers["location"]) == (308, "/sagas/commande/CMD-LOST")
