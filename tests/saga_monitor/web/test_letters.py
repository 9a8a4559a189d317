"""The page and the API of dead letters that nobody has dealt with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from choregraphie.saga.topology import DETAIL_HEADER, REASON_HEADER, dlx
from tests.saga_monitor.memory_stream import HELD, START, UNPAID, event_bytes
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.saga_monitor.web.served import Served


def test_the_page_and_the_api_show_the_faults_with_their_predictions(
    site: Served, open_page: Callable[..., Page]
) -> None:
    site.stream.publish("CMD-LETTER", UNPAID)
    headers = {REASON_HEADER: "exhausted", DETAIL_HEADER: "TimeoutError: <b>gateway</b>"}
    site.stream.add(event_bytes("CMD-LETTER", HELD[1]), dlx("paiement"), headers, START)
    site.read_up()
    site.watch.look()
    page = open_page(site.at("/anomalies"))
    row = page.locator("table.faults tr", has_text="TimeoutError: <b>gateway</b>")
    expect(row).to_contain_text("1 tombstoned")
    row.get_by_role("link", name="message").click()
    expect(page.get_by_role("main")).to_contain_text("tombstoned: paiement has said paiement.echoue")

    shown = get(site.at("/api/letters")).json()
    (mine,) = (one for one in shown["letters"] if one["commande_id"] == "CMD-LETTER")
    assert mine["replay"]["effect"] == "tombstoned"
    (group,) = (one for one in shown["groups"] if mine["letter"] in one["ids"])
    assert (group["effects"], group["fault"]) == ({"tombstoned": 1}, "TimeoutError: <b>gateway</b>")
    assert get(site.at("/api/letters?saga=nope")).status_code == 400
