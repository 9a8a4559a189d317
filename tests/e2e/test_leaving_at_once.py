"""A second SIGTERM does not wait for what is under way; whatever that was comes again, and is done once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.workers import services, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop
    from tests.support.workers import Worker


def test_a_second_sigterm_leaves_at_once_and_loses_nothing(closed_shop: Shop) -> None:
    shop = closed_shop
    slow = shop.start("paiement", gateway_latency=60, call_timeout=60)
    shop.start("stock", "commande", "notification").await_ready()
    slow.await_ready()
    shop.ear = shop.outsider.listen("client.events", "stock.events", "commande.events")
    order = shop.order()
    shop.told(order, "stock.reserve")
    until(lambda: "begun" in under_way(shop, order), "the call is under way")
    # Asked again and again: two signals that come together may be taken for one, and nothing that the broker says
    # tells the first was obeyed (a quorum queue counts a cancelled consumer while it has deliveries in hand).
    until(lambda: asked_once_more(slow), "it has left")
    assert slow.exit_code == 1
    assert slow.logged("worker.left_at_once")
    assert "Traceback" not in slow.output()
    shop.start("paiement").await_ready()
    shop.told(order, "commande.creee")
    assert shop.inspect("paiement")["mouvements"]["debits"]["nombre"] == 1
    assert shop.outsider.count("paiement.dlq") == 0


def asked_once_more(worker: Worker) -> bool:
    if worker.exit_code is None:
        worker.signal(signal.SIGTERM)
    return worker.exit_code is not None


def under_way(shop: Shop, order: str) -> str:
    return services("journal", order, "--service", "paiement", "--json", **shop.settings).stdout
