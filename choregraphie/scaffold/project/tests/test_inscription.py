"""The decider at work: whatever comes first, an enrolment is confirmed at most once and cancelled at most once."""

import pytest
from choregraphie.testing import ServiceHarness

from __NAME__.contracts import (
    InscriptionAnnulationDemandee,
    InscriptionDemandee,
    PlaceRefusee,
    PlaceReservee,
)

pytestmark = pytest.mark.service("inscription")

DEMANDE = InscriptionDemandee(inscription_id="INS-1", participant_id="CLAIRE", session_id="PYTHON-101")
RESERVEE = PlaceReservee(inscription_id="INS-1", session_id="PYTHON-101")
REFUSEE = PlaceRefusee(inscription_id="INS-1", raison="session complète")
ANNULATION = InscriptionAnnulationDemandee(inscription_id="INS-1", raison="changement d'avis")


@pytest.mark.parametrize("heard", [(DEMANDE, RESERVEE), (RESERVEE, DEMANDE)], ids=["in order", "overtaken"])
def test_a_held_place_confirms_the_enrolment(
    harness: ServiceHarness, heard: tuple[InscriptionDemandee | PlaceReservee, ...]
) -> None:
    for event in heard:
        harness.hear(event)
    assert harness.said == ["inscription.confirmee"]


def test_a_refusal_cancels_it(harness: ServiceHarness) -> None:
    harness.hear(DEMANDE)
    harness.hear(REFUSEE)
    assert harness.said == ["inscription.annulee"]


def test_a_confirmed_one_can_be_cancelled_once(harness: ServiceHarness) -> None:
    for event in (DEMANDE, RESERVEE, ANNULATION, ANNULATION):
        harness.hear(event)
    assert harness.said == ["inscription.confirmee", "inscription.annulee"]


def test_a_demand_to_cancel_what_never_comes_is_forgotten(harness: ServiceHarness) -> None:
    harness.hear(ANNULATION)
    assert harness.inspect()["inscriptions"]["inconnue"] == 1
    harness.tick(seconds=(harness.settings.inbox_days + 1) * 86_400)
    harness.store.purge()
    assert harness.inspect()["inscriptions"]["inconnue"] == 0


def test_an_enrolment_without_an_answer_is_cancelled_at_its_deadline(harness: ServiceHarness) -> None:
    harness.hear(DEMANDE)
    assert harness.tick(seconds=harness.settings.deadline - 1) == []
    harness.tick(seconds=2)
    assert harness.said == ["inscription.annulee"]
    harness.hear(RESERVEE)
    assert harness.said == ["inscription.annulee"]
