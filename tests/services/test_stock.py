"""Stock, in a harness with a real database: it holds, sells and puts back, never more than it has."""

import itertools

import pytest

from choregraphie.saga.envelope import Event
from choregraphie.testing import ServiceHarness
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve
from services.stock import SERVICE
from tests.services.conftest import MakeHarness
from tests.support.event_builders import CMD, annulee, creee, initiee

HEARD: dict[str, Event] = {"initiee": initiee(), "creee": creee(), "annulee": annulee()}


@pytest.fixture
def harness(make_harness: MakeHarness) -> ServiceHarness:
    return make_harness(SERVICE, "[produits]\nPROD-456 = 10\nPROD-999 = 3\n")


def stock(harness: ServiceHarness, produit_id: str = "PROD-456") -> tuple[int, int, int]:
    """The counts disponible, retenu, vendu, which must add up to the initial stock."""
    rayon = harness.inspect()["produits"][produit_id]
    assert rayon["initial"] == rayon["disponible"] + rayon["retenu"] + rayon["vendu"]
    return rayon["disponible"], rayon["retenu"], rayon["vendu"]


def test_an_order_reserves_its_quantity(harness: ServiceHarness) -> None:
    (said,) = harness.hear(initiee(quantite=2))
    assert isinstance(said, StockReserve)
    assert said.reservation_id
    assert said.model_dump(exclude={"reservation_id"}) == initiee(quantite=2).model_dump()
    assert stock(harness) == (8, 2, 0)


def test_a_shortage_is_a_refusal_and_leaves_the_stock_unchanged(harness: ServiceHarness) -> None:
    (said,) = harness.hear(initiee(produit_id="PROD-999", quantite=5))
    assert said == StockReservationEchouee(commande_id=CMD, raison="stock insuffisant : 3 disponibles, 5 demandés")
    assert stock(harness, "PROD-999") == (3, 0, 0)


def test_the_last_pieces_can_be_reserved_and_not_one_more(harness: ServiceHarness) -> None:
    harness.hear(initiee("A", produit_id="PROD-999", quantite=3))
    harness.hear(initiee("B", produit_id="PROD-999", quantite=1))
    assert harness.said == ["stock.reserve", "stock.reservation_echouee"]
    assert stock(harness, "PROD-999") == (0, 3, 0)


def test_an_unknown_product_is_a_refusal(harness: ServiceHarness) -> None:
    (said,) = harness.hear(initiee(produit_id="PROD-000"))
    assert said == StockReservationEchouee(commande_id=CMD, raison="produit inconnu")


def test_a_product_is_never_oversold_within_one_batch(harness: ServiceHarness) -> None:
    said = harness.hear(*(initiee(f"C-{n}", quantite=3) for n in range(8)))
    assert [type(event) for event in said] == [StockReserve] * 3 + [StockReservationEchouee] * 5
    assert stock(harness) == (1, 9, 0)


def test_pieces_freed_in_a_batch_can_be_reserved_later_in_it(harness: ServiceHarness) -> None:
    harness.hear(initiee("A", produit_id="PROD-999", quantite=3))
    harness.hear(annulee("A"), initiee("B", produit_id="PROD-999", quantite=2))
    assert harness.said[1:] == ["stock.libere", "stock.reserve"]
    assert stock(harness, "PROD-999") == (1, 2, 0)


def test_a_created_order_is_sold_without_an_event(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    assert harness.hear(creee()) == []
    assert stock(harness) == (8, 0, 2)


def test_a_cancellation_puts_back_what_was_held(harness: ServiceHarness) -> None:
    (held,) = harness.hear(initiee())
    assert isinstance(held, StockReserve)
    assert harness.hear(annulee()) == [StockLibere(commande_id=CMD, reservation_id=held.reservation_id)]
    assert stock(harness) == (10, 0, 0)


def test_a_cancellation_puts_back_what_was_sold(harness: ServiceHarness) -> None:
    (held,) = harness.hear(initiee())
    assert isinstance(held, StockReserve)
    harness.hear(creee())
    assert harness.hear(annulee()) == [StockLibere(commande_id=CMD, reservation_id=held.reservation_id)]
    assert stock(harness) == (10, 0, 0)


def test_a_cancellation_without_a_reservation_is_answered(harness: ServiceHarness) -> None:
    harness.hear(initiee(produit_id="PROD-000"))
    assert harness.hear(annulee()) == [StockLibere(commande_id=CMD, reservation_id=None)]


def test_a_cancellation_that_overtakes_its_order_reserves_nothing(harness: ServiceHarness) -> None:
    assert harness.hear(annulee()) == [StockLibere(commande_id=CMD, reservation_id=None)]
    assert harness.hear(initiee()) == []
    assert stock(harness) == (10, 0, 0)


def test_a_cancellation_that_overtakes_the_creation_leaves_nothing_sold(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    harness.hear(annulee())
    assert harness.hear(creee()) == []
    assert stock(harness) == (10, 0, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(["initiee", "creee", "annulee"])))
@pytest.mark.parametrize("together", [True, False])
def test_a_cancelled_order_holds_nothing_in_any_order_of_arrival(
    harness: ServiceHarness, order: tuple[str, ...], together: bool
) -> None:
    facts = [HEARD[name] for name in order]
    for group in [facts] if together else [[fact] for fact in facts]:
        harness.hear(*group)
    assert stock(harness) == (10, 0, 0)
    assert harness.said.count("stock.libere") == 1


def test_a_repeated_event_has_no_second_effect_and_no_second_answer(harness: ServiceHarness) -> None:
    order = harness.enveloped(initiee())
    harness.hear(order, order)
    harness.hear(order)
    assert harness.said == ["stock.reserve"]
    assert stock(harness) == (8, 2, 0)


def test_a_second_order_with_a_known_id_has_no_effect(harness: ServiceHarness) -> None:
    harness.hear(initiee(quantite=2), initiee(quantite=5))
    assert harness.hear(initiee(quantite=5)) == []
    assert harness.said == ["stock.reserve"]
    assert stock(harness) == (8, 2, 0)


def test_a_second_cancellation_frees_nothing_twice(harness: ServiceHarness) -> None:
    harness.hear(initiee())
    harness.hear(annulee(), annulee())
    assert harness.hear(annulee()) == []
    assert harness.said == ["stock.reserve", "stock.libere"]
    assert stock(harness) == (10, 0, 0)


def test_an_event_names_its_cause_and_its_sender(harness: ServiceHarness) -> None:
    order = harness.enveloped(initiee(), id="the-cause")
    harness.hear(order)
    (envelope,) = harness.envelopes
    assert (envelope.causationid, envelope.source, envelope.subject) == ("the-cause", "/services/stock", CMD)


def test_orders_of_one_batch_do_not_mix(harness: ServiceHarness) -> None:
    harness.hear(
        initiee("A", quantite=1), initiee("B", produit_id="PROD-999", quantite=2), initiee("C", quantite=4)
    )
    assert [(e.subject, e.data.key) for e in harness.envelopes] == [("A", "A"), ("B", "B"), ("C", "C")]
    assert (stock(harness), stock(harness, "PROD-999")) == ((5, 5, 0), (1, 2, 0))
