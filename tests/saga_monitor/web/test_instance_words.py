"""The page of a cancelled order: who refused, who decided, and how long the undoing took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.saga_monitor.memory_stream import UNPAID, undone
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.shop_history import seconds
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.saga_monitor.memory_stream import Stream


def test_a_cancelled_order_says_who_refused_and_how_long_the_undoing_took(
    stream: Stream, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    lines = [*UNPAID, *undone("paiement.echoue")]
    stream.publish("CMD-1", lines, seconds(30))
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        site.read_up()
        shown = get(site.at("/api/orders/CMD-1")).json()
        page = open_page(site.at("/sagas/commande/CMD-1"))
        steps = page.locator("ol.progress li")
        expect(steps.nth(1)).to_contain_text("paiementrefused")
        expect(steps.nth(2)).to_contain_text("commandecancelled the order")
        expect(page.locator("dl.facts")).to_contain_text("Reason given by paiement")
        answered = max(step["undoing_ms"] or 0 for step in shown["steps"])
        assert answered < shown["duration_ms"]
        expect(page.locator("dl.facts")).to_contain_text("Over after")
        expect(page.locator(".headline")).to_contain_text(f"every undoing was answered within {answered} ms.")
