"""Each service that books or pays in conversation: what it hears, what it says, what it keeps."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from voyage.events import (
    HotelAnnule,
    HotelRefuse,
    HotelReserve,
    PaiementEchoue,
    PaiementEffectue,
    PaiementRembourse,
    VoitureAnnulee,
    VoitureRefusee,
    VoitureReservee,
    VolAnnule,
    VolRefuse,
    VolReserve,
    VoyageAnnule,
    VoyageDemande,
    VoyageEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.testing import ServiceHarness

    HarnessFor = Callable[[str], ServiceHarness]
    Demande = Callable[..., VoyageDemande]

VOY = "VOY-1"
ANNULE = VoyageAnnule(voyage_id=VOY, raison="changement d'avis", confirme=False)
ANNULE_CONFIRME = VoyageAnnule(voyage_id=VOY, raison="changement d'avis", confirme=True)


def reserves(client: str = "CLIENT-1") -> tuple[VoyageEvent, ...]:
    """The three bookings of a voyage that costs 620, 60 of which the airline keeps after a confirmation."""
    common = {"voyage_id": VOY, "reservation_id": "R-1"}
    return (
        VolReserve(**common, client_id=client, prix=Decimal(240), frais=Decimal(60)),
        HotelReserve(**common, client_id="CLIENT-1", prix=Decimal(240)),
        VoitureReservee(**common, client_id="CLIENT-1", prix=Decimal(140)),
    )


def test_seats_are_booked_with_their_price_and_their_fee(harness_for: HarnessFor, demande: Demande) -> None:
    vol = harness_for("vol")
    (said,) = vol.hear(demande())
    assert isinstance(said, VolReserve)
    assert [said.prix, said.frais] == [240, 60]
    assert vol.inspect()["vols"]["AF-LISBONNE"] == {"places": 200, "prises": 2}


@pytest.mark.parametrize(
    ("changes", "raison"),
    [({"vol_id": "AF-OSLO"}, "vol complet : 1 places, 2 demandées"), ({"vol_id": "AF-RIEN"}, "vol inconnu")],
)
def test_a_flight_without_seats_is_refused(
    harness_for: HarnessFor, demande: Demande, changes: dict[str, str], raison: str
) -> None:
    assert harness_for("vol").hear(demande(**changes)) == [VolRefuse(voyage_id=VOY, raison=raison)]


@pytest.mark.parametrize(("annule", "frais"), [(ANNULE, 0), (ANNULE_CONFIRME, 60)])
def test_a_cancelled_flight_has_a_fee_only_after_the_confirmation(
    harness_for: HarnessFor, demande: Demande, annule: VoyageAnnule, frais: int
) -> None:
    vol = harness_for("vol")
    vol.hear(demande())
    (said,) = vol.hear(annule)
    assert isinstance(said, VolAnnule)
    assert [said.rembourse, said.frais] == [240 - frais, frais]
    assert vol.inspect()["vols"]["AF-LISBONNE"]["prises"] == 0


@pytest.mark.parametrize(
    ("service", "answer"),
    [
        ("vol", VolAnnule(voyage_id=VOY, reservation_id=None, rembourse=Decimal(0), frais=Decimal(0))),
        ("hotel", HotelAnnule(voyage_id=VOY, reservation_id=None)),
        ("voiture", VoitureAnnulee(voyage_id=VOY, reservation_id=None)),
    ],
)
def test_a_cancellation_that_overtakes_the_request_is_answered_and_nothing_is_booked(
    harness_for: HarnessFor, demande: Demande, service: str, answer: VoyageEvent
) -> None:
    booking = harness_for(service)
    before = booking.inspect()
    assert booking.hear(ANNULE) == [answer]
    assert booking.hear(demande()) == []
    assert booking.inspect() == before


def test_a_room_is_booked_for_every_night_and_set_free_again(harness_for: HarnessFor, demande: Demande) -> None:
    hotel = harness_for("hotel")
    (said,) = hotel.hear(demande())
    assert isinstance(said, HotelReserve)
    assert said.prix == 3 * 80
    assert hotel.hear(ANNULE) == [HotelAnnule(voyage_id=VOY, reservation_id=said.reservation_id)]
    assert hotel.inspect()["hotels"]["RIVAGE"]["prises"] == 0


def test_a_car_is_booked_for_one_day_more_than_the_nights_and_set_free_again(
    harness_for: HarnessFor, demande: Demande
) -> None:
    voiture = harness_for("voiture")
    (said,) = voiture.hear(demande())
    assert isinstance(said, VoitureReservee)
    assert said.prix == 4 * 35
    assert voiture.hear(ANNULE) == [VoitureAnnulee(voyage_id=VOY, reservation_id=said.reservation_id)]
    assert voiture.inspect()["categories"]["CITADINE"]["louees"] == 0


@pytest.mark.parametrize(
    ("service", "changes", "answer"),
    [
        ("hotel", {"hotel_id": "BELVEDERE"}, HotelRefuse(voyage_id=VOY, raison="hôtel complet")),
        ("hotel", {"hotel_id": "RIEN"}, HotelRefuse(voyage_id=VOY, raison="hôtel inconnu")),
        ("voiture", {"voiture_id": "CABRIOLET"}, VoitureRefusee(voyage_id=VOY, raison="aucune voiture libre")),
        ("voiture", {"voiture_id": "RIEN"}, VoitureRefusee(voyage_id=VOY, raison="catégorie inconnue")),
    ],
)
def test_no_room_or_no_car_is_a_refusal(
    harness_for: HarnessFor, demande: Demande, service: str, changes: dict[str, str], answer: VoyageEvent
) -> None:
    assert harness_for(service).hear(demande(**changes)) == [answer]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_card_is_debited_once_all_three_are_booked_in_any_order(
    harness_for: HarnessFor, order: tuple[int, ...]
) -> None:
    paiement, bookings = harness_for("paiement"), reserves()
    assert paiement.hear(bookings[order[0]]) == []
    assert paiement.hear(bookings[order[1]]) == []
    (said,) = paiement.hear(bookings[order[2]])
    assert isinstance(said, PaiementEffectue)
    assert said.montant == 620


def test_a_card_below_the_price_is_refused(harness_for: HarnessFor) -> None:
    bookings = [event.model_copy(update={"client_id": "CLIENT-FAUCHE"}) for event in reserves()]
    (said,) = harness_for("paiement").hear(*bookings)
    assert said == PaiementEchoue(voyage_id=VOY, raison="carte refusée : plafond dépassé")


def test_bookings_of_two_clients_are_never_paid_together(harness_for: HarnessFor) -> None:
    (said,) = harness_for("paiement").hear(*reserves(client="CLIENT-2"))
    assert said == PaiementEchoue(voyage_id=VOY, raison="réservations de plusieurs clients")


@pytest.mark.parametrize(("annule", "rendu"), [(ANNULE, 620), (ANNULE_CONFIRME, 560)])
def test_a_refund_is_the_sum_less_the_fee_of_a_confirmed_voyage(
    harness_for: HarnessFor, annule: VoyageAnnule, rendu: int
) -> None:
    paiement = harness_for("paiement")
    (paid,) = paiement.hear(*reserves())
    assert isinstance(paid, PaiementEffectue)
    assert paiement.hear(annule) == [
        PaiementRembourse(voyage_id=VOY, transaction_id=paid.transaction_id, montant=Decimal(rendu))
    ]
    assert paiement.inspect()["cartes"]["CLIENT-1"]["debite"] == 620 - rendu


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_cancellation_between_the_bookings_lets_nothing_be_paid(harness_for: HarnessFor, before: int) -> None:
    paiement, bookings = harness_for("paiement"), reserves()
    for event in bookings[:before]:
        paiement.hear(event)
    assert paiement.hear(ANNULE) == [PaiementRembourse(voyage_id=VOY, transaction_id=None, montant=Decimal(0))]
    for event in bookings[before:]:
        assert paiement.hear(event) == []
    assert paiement.inspect()["cartes"]["CLIENT-1"]["debite"] == 0
