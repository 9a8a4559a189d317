"""The agency in conversation: it confirms, cancels, keeps what came too early, and watches the deadline."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from voyage.events import (
    HotelRefuse,
    PaiementEchoue,
    PaiementEffectue,
    VoitureRefusee,
    VolRefuse,
    VoyageAnnulationDemandee,
    VoyageAnnule,
    VoyageConfirme,
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
REFUSES = (
    VolRefuse(voyage_id=VOY, raison="vol complet"),
    HotelRefuse(voyage_id=VOY, raison="hôtel complet"),
    VoitureRefusee(voyage_id=VOY, raison="aucune voiture libre"),
    PaiementEchoue(voyage_id=VOY, raison="carte inconnue"),
)
PAYE = PaiementEffectue(voyage_id=VOY, transaction_id="T-1", montant=Decimal(620))
CHANGE = VoyageAnnulationDemandee(voyage_id=VOY, raison="changement d'avis")


def test_a_paid_voyage_is_confirmed_once(harness_for: HarnessFor, demande: Demande) -> None:
    agence = harness_for("agence")
    assert agence.hear(demande(), PAYE, PAYE) == [VoyageConfirme(voyage_id=VOY)]


@pytest.mark.parametrize("refus", REFUSES)
def test_any_refusal_cancels_and_the_next_ones_change_nothing(
    harness_for: HarnessFor, demande: Demande, refus: VoyageEvent
) -> None:
    agence = harness_for("agence")
    (said,) = agence.hear(demande(), refus)
    assert isinstance(said, VoyageAnnule)
    assert not said.confirme
    assert agence.hear(*REFUSES, CHANGE) == []


@pytest.mark.parametrize(
    ("first", "then"), [*((refus, VoyageAnnule) for refus in REFUSES), (PAYE, VoyageConfirme)]
)
def test_what_overtakes_the_request_is_kept_until_it_comes(
    harness_for: HarnessFor, demande: Demande, first: VoyageEvent, then: type[VoyageEvent]
) -> None:
    agence = harness_for("agence")
    assert agence.hear(first) == []
    assert [type(said) for said in agence.hear(demande())] == [then]


@pytest.mark.parametrize("first", [*REFUSES, PAYE])
def test_a_voyage_whose_request_never_comes_is_cancelled_at_its_deadline(
    harness_for: HarnessFor, demande: Demande, first: VoyageEvent
) -> None:
    agence = harness_for("agence")
    agence.hear(first)
    assert [type(said) for said in agence.tick(10_000)] == [VoyageAnnule]
    assert agence.hear(demande()) == []


def test_a_cancellation_after_the_confirmation_says_so(harness_for: HarnessFor, demande: Demande) -> None:
    agence = harness_for("agence")
    agence.hear(demande(), PAYE)
    assert agence.hear(CHANGE) == [ANNULE_CONFIRME]


def test_a_demand_to_cancel_an_unknown_voyage_waits_for_it(harness_for: HarnessFor, demande: Demande) -> None:
    agence = harness_for("agence")
    assert agence.hear(CHANGE) == []
    assert agence.tick(10_000) == []
    assert agence.hear(demande()) == [ANNULE]


def test_a_voyage_past_its_deadline_is_cancelled_once(harness_for: HarnessFor, demande: Demande) -> None:
    agence = harness_for("agence")
    agence.hear(demande())
    assert agence.tick(1) == []
    assert agence.tick(10_000) == [VoyageAnnule(voyage_id=VOY, raison="délai dépassé", confirme=False)]
    assert agence.tick(10_000) == []
    assert agence.hear(PAYE) == []
