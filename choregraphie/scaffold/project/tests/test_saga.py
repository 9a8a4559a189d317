"""The whole saga: declared soundly, under every fault in virtual time, and on a real broker."""

import uuid

import pytest
from choregraphie import Application
from choregraphie.prover import prove
from choregraphie.testing import RunningSaga
from choregraphie.testing.plugin import Simulate

from __NAME__.contracts import (
    InscriptionAnnulationDemandee,
    InscriptionAnnulee,
    InscriptionConfirmee,
    InscriptionDemandee,
    PlaceLiberee,
)


def demande(session_id: str) -> InscriptionDemandee:
    key = f"INS-{uuid.uuid4().hex[:8]}"
    return InscriptionDemandee(inscription_id=key, participant_id="CLAIRE", session_id=session_id)


def test_the_choreography_is_sound_and_the_code_matches_it(saga_application: Application) -> None:
    for saga in saga_application.sagas:
        assert prove(saga, saga_application.by_name).holds


@pytest.mark.parametrize("seed", range(1, 6))
def test_no_enrolment_ends_half_done(simulate: Simulate, seed: int) -> None:
    simulate(seed, instances=20)


def test_an_enrolment_ends_confirmed(live_saga: RunningSaga) -> None:
    key = live_saga.say(demande("PYTHON-101"))
    said = live_saga.await_said(key, InscriptionConfirmee)
    assert "inscription.annulee" not in said


def test_a_refused_one_ends_cancelled_and_undone(live_saga: RunningSaga) -> None:
    key = live_saga.say(demande("INCONNUE-000"))
    live_saga.await_said(key, InscriptionAnnulee, PlaceLiberee)


def test_a_confirmed_one_can_be_cancelled_and_is_undone(live_saga: RunningSaga) -> None:
    key = live_saga.say(demande("PYTHON-101"))
    live_saga.await_said(key, InscriptionConfirmee)
    live_saga.say(InscriptionAnnulationDemandee(inscription_id=key, raison="changement d'avis"))
    live_saga.await_said(key, InscriptionAnnulee, PlaceLiberee)
