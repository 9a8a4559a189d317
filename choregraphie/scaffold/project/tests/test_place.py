"""The service `place` at work: the real delivery path and a real database, without a broker."""

import pytest
from choregraphie.testing import ServiceHarness
from choregraphie.testing.plugin import MakeHarness

from __NAME__.contracts import InscriptionAnnulee, InscriptionDemandee

pytestmark = pytest.mark.service("place")


def demande(key: str = "INS-1", session_id: str = "ATELIER-301") -> InscriptionDemandee:
    return InscriptionDemandee(inscription_id=key, participant_id="CLAIRE", session_id=session_id)


def annulee(key: str = "INS-1") -> InscriptionAnnulee:
    return InscriptionAnnulee(inscription_id=key, raison="changement d'avis")


def libres(harness: ServiceHarness, session_id: str = "ATELIER-301") -> int:
    return int(harness.inspect()["sessions"][session_id]["libres"])


def test_a_free_place_is_held(harness: ServiceHarness) -> None:
    harness.hear(demande())
    assert harness.said == ["place.reservee"]
    assert libres(harness) == 0


def test_a_full_session_is_refused_and_nothing_is_held(harness_for: MakeHarness) -> None:
    harness = harness_for("place", catalogue="[sessions]\nATELIER-301 = 0")
    harness.hear(demande())
    assert harness.said == ["place.refusee"]
    assert libres(harness) == 0


def test_an_unknown_session_is_refused(harness: ServiceHarness) -> None:
    harness.hear(demande(session_id="INCONNUE-000"))
    assert harness.said == ["place.refusee"]


def test_a_cancelled_place_is_free_again(harness: ServiceHarness) -> None:
    harness.hear(demande())
    harness.hear(annulee())
    assert harness.said == ["place.reservee", "place.liberee"]
    assert libres(harness) == 1


def test_a_cancellation_that_overtakes_its_request_leaves_nothing_held(harness: ServiceHarness) -> None:
    harness.hear(annulee())
    harness.hear(demande())
    assert harness.said == ["place.liberee"]
    assert libres(harness) == 1
