"""Two clients may use the same event id: every service keeps two orders."""

from typing import Any

from choregraphie.saga.envelope import Envelope, wrap
from choregraphie.testing import ServiceHarness
from services.commande import SERVICE as COMMANDE
from services.stock import SERVICE as STOCK
from tests.services.conftest import MakeHarness
from tests.support.event_builders import demande, initiee

STOCKED = "[produits]\nPROD-456 = 10\n"


def ordered(harness: ServiceHarness, client: str) -> Envelope[Any]:
    return wrap(initiee(f"C-{client}", quantite=2), id="1", source=f"/clients/{client}", time=harness.now)


def test_both_orders_are_cancelled_at_their_deadline(make_harness: MakeHarness) -> None:
    harness = make_harness(COMMANDE, deadline=900)
    harness.hear(ordered(harness, "alpha"), ordered(harness, "beta"))
    assert {said.key for said in harness.tick(900)} == {"C-alpha", "C-beta"}
    assert len({envelope.id for envelope in harness.envelopes}) == 2
    assert {envelope.causationid for envelope in harness.envelopes} == {"1"}


def test_each_order_has_its_own_reservation(make_harness: MakeHarness) -> None:
    harness = make_harness(STOCK, STOCKED)
    held = harness.hear(ordered(harness, "alpha"), ordered(harness, "beta"))
    assert len({said.model_dump()["reservation_id"] for said in held}) == 2
    assert harness.inspect()["produits"]["PROD-456"]["retenu"] == 4


def test_a_cancellation_request_with_the_same_event_id_cancels_one_order(make_harness: MakeHarness) -> None:
    harness = make_harness(COMMANDE)
    demand = wrap(demande("C-alpha"), id="1", source="/clients/gamma", time=harness.now)
    harness.hear(ordered(harness, "alpha"), ordered(harness, "beta"), demand)
    assert [(envelope.type, envelope.key) for envelope in harness.envelopes] == [("commande.annulee", "C-alpha")]
