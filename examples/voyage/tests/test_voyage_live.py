"""Every end of a voyage on a real broker, with the monitor beside it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie import Service
from choregraphie.testing import RunningSaga, running_saga
from voyage.application import APP
from voyage.events import (
    HotelAnnule,
    HotelRefuse,
    PaiementEchoue,
    PaiementRembourse,
    VoitureAnnulee,
    VoitureRefusee,
    VolAnnule,
    VolRefuse,
    VoyageAnnulationDemandee,
    VoyageAnnule,
    VoyageConfirme,
    VoyageDemande,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from choregraphie import Settings
    from choregraphie.saga.envelope import Event

    Demande = Callable[..., VoyageDemande]
    Monitored = Callable[[Settings, str], tuple[str, list[str]]]

UNDONE = (VolAnnule, HotelAnnule, VoitureAnnulee, PaiementRembourse)


def new_key() -> str:
    return f"VOY-{uuid.uuid4().hex[:8]}"


def test_a_voyage_that_is_booked_and_paid_is_confirmed(
    live_saga: RunningSaga, demande: Demande, monitored: Monitored
) -> None:
    key = live_saga.say(demande(new_key()))
    said = live_saga.await_said(key, VoyageConfirme)
    assert not {event.TYPE for event in UNDONE} & {*said}
    assert monitored(live_saga.settings, key) == ("COMPLETED", [])


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"vol_id": "AF-RIEN"}, VolRefuse),
        ({"hotel_id": "BELVEDERE"}, HotelRefuse),
        ({"voiture_id": "CABRIOLET"}, VoitureRefusee),
        ({"client_id": "CLIENT-FAUCHE"}, PaiementEchoue),
    ],
)
def test_a_refusal_undoes_what_the_others_have_done_or_will_have_done(
    live_saga: RunningSaga,
    demande: Demande,
    monitored: Monitored,
    changes: dict[str, str],
    refusal: type[Event],
) -> None:
    key = live_saga.say(demande(new_key(), **changes))
    said = live_saga.await_said(key, refusal, VoyageAnnule, *UNDONE)
    assert "voyage.confirme" not in said
    assert monitored(live_saga.settings, key) == ("COMPENSATED", [])


def test_a_cancellation_after_the_confirmation_undoes_everything(
    live_saga: RunningSaga, demande: Demande, monitored: Monitored
) -> None:
    key = live_saga.say(demande(new_key()))
    live_saga.await_said(key, VoyageConfirme)
    live_saga.say(VoyageAnnulationDemandee(voyage_id=key, raison="changement d'avis"))
    live_saga.await_said(key, VoyageAnnule, *UNDONE)
    assert monitored(live_saga.settings, key) == ("COMPENSATED", [])


def test_a_voyage_without_an_answer_is_cancelled_at_its_deadline_and_the_silent_service_undoes_it_later(
    broker_url: str, tmp_path: Path, demande: Demande, monitored: Monitored
) -> None:
    settings = APP.with_seed(
        APP.settings(amqp_url=broker_url, database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3", deadline=1.0)
    )
    # Somebody else runs the car rental, and is away.
    away = Service("voiture", foreign=True)
    without = replace(APP, services=tuple(away if s.name == "voiture" else s for s in APP.services))
    with running_saga(without, settings) as running:
        key = running.say(demande(new_key()))
        running.await_said(key, VoyageAnnule, VolAnnule, HotelAnnule, PaiementRembourse)
        assert monitored(settings, key) == ("COMPENSATING", ["voiture.annulee"])
    with running_saga(APP, settings) as running:
        running.await_said(key, *UNDONE)
    assert monitored(settings, key) == ("COMPENSATED", [])
