"""Clients know nothing of one another, and each may count its events from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_trouble import END, dead
from tests.support.saga_fixture import is_about

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop

ALPHA, BETA = "/clients/alpha", "/clients/beta"


def order(shop: Shop, id: str, source: str, commande_id: str | None = None, **data: Any) -> str:
    commande_id = commande_id or shop.new_id()
    usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 1, "montant": 1}
    shop.publish("commande.initiee", {"commande_id": commande_id, **usual, **data}, id=id, source=source)
    return commande_id


@pytest.mark.parametrize(
    "others", [BETA, "/clients/Alpha", "/clients/alpha/", "/clients/" + "a" * 191], ids=lambda source: source[:20]
)
def test_each_has_its_order_with_the_same_event_id(open_shop: Shop, others: str) -> None:
    id_ = f"1 of {others}"[:40]
    first, second = order(open_shop, id_, ALPHA), order(open_shop, id_, others)
    told = [open_shop.told(commande_id, *END) for commande_id in (first, second)]
    reserved = [events["stock.reserve"].json for events in told]
    assert len({event["id"] for event in reserved}) == 2
    assert len({event["data"]["reservation_id"] for event in reserved}) == 2
    assert [event["causationid"] for event in reserved] == [id_, id_]


def test_one_may_cancel_what_the_other_has_ordered_under_the_same_event_id(open_shop: Shop) -> None:
    commande_id = order(open_shop, "one-id", ALPHA)
    open_shop.told(commande_id, *END[:-1])
    demand = {"commande_id": commande_id, "raison": "changement d'avis"}
    open_shop.publish("commande.annulation_demandee", demand, id="one-id", source=BETA)
    wanted = {"commande.annulee", "stock.libere", "paiement.rembourse"}
    open_shop.ear.until(lambda heard: wanted <= {one.key for one in heard if is_about(one, commande_id)}, 20)


def test_one_may_use_the_id_of_what_a_service_has_said(open_shop: Shop) -> None:
    told = open_shop.told(order(open_shop, "said-before", ALPHA), *END)
    again = order(open_shop, told["stock.reserve"].json["id"], BETA)
    open_shop.told(again, *END)


def test_the_same_source_and_id_for_another_order_is_set_aside(open_shop: Shop) -> None:
    first = order(open_shop, "used-twice", ALPHA)
    open_shop.told(first, *END)
    order(open_shop, "used-twice", ALPHA)
    for service in ("stock", "commande"):
        assert dead(open_shop, f"{service}.dlq").headers["x-saga-reason"] == "id_collision"


def test_an_event_without_a_source_is_refused(open_shop: Shop) -> None:
    order(open_shop, "of-nobody", "")
    for service in ("stock", "commande"):
        assert dead(open_shop, f"{service}.dlq").headers["x-saga-reason"] == "invalid"
