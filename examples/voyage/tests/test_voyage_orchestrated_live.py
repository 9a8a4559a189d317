"""Every end of the voyage on a real broker, orchestrated as derived, with the monitor beside it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie import Service
from choregraphie.testing import RunningSaga, running_saga
from voyage.events import (
    HotelAnnule,
    HotelRefuse,
    PaiementEchoue,
    PaiementEffectue,
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
from voyage.orchestrated import DERIVED, ORCHESTRATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from choregraphie import Settings
    from choregraphie.saga.envelope import Event

    Demande = Callable[..., VoyageDemande]
    Monitored = Callable[[Settings, str], tuple[str, list[str]]]

BOOKINGS_UNDONE = (VolAnnule, HotelAnnule, VoitureAnnulee)
# Each undoing with its answer: the payment's, then those of the bookings.
UNDOING = ["paiement.rembourser", "paiement.rembourse"]


def new_key() -> str:
    return f"VOY-{uuid.uuid4().hex[:8]}"


def settings_for(broker_url: str, folder: Path, **more: float) -> Settings:
    database_url = f"sqlite:///{folder}/{{service}}.sqlite3"
    return ORCHESTRATED.with_seed(
        ORCHESTRATED.settings(amqp_url=broker_url, database_url=database_url, coordination="orchestration", **more)
    )


@pytest.fixture
def led(broker_url: str, tmp_path: Path) -> Iterator[RunningSaga]:
    """A worker of each service, and of the agency, which leads them."""
    with running_saga(ORCHESTRATED, settings_for(broker_url, tmp_path)) as running:
        yield running


def progress(folder: Path, key: str) -> dict[str, list[str]]:
    """Where the agency's own row says that the voyage stands."""
    table = DERIVED.orchestration.table
    with contextlib.closing(sqlite3.connect(folder / "agence.sqlite3")) as connection:
        (row,) = connection.execute(f"SELECT progress FROM {table} WHERE voyage_id = ?", (key,))
    found: dict[str, list[str]] = json.loads(row[0])
    return found


def alternating(said: Sequence[str]) -> bool:
    """Whether each undoing was answered before the next was commanded."""
    undoings = [step.undoing.TYPE for step in DERIVED.orchestration.all_steps if step.undoing and not step.pivot]
    answers = [step.undone.TYPE for step in DERIVED.orchestration.all_steps if step.undone and not step.pivot]
    of_undoing = [type_ for type_ in said if type_ in {*undoings, *answers}]
    return [type_ in undoings for type_ in of_undoing] == [True, False] * (len(of_undoing) // 2)


def test_a_voyage_is_commanded_step_by_step_and_confirmed(
    led: RunningSaga, demande: Demande, monitored: Monitored
) -> None:
    key = led.say(demande(new_key()))
    said = led.await_said(key, VoyageConfirme)
    assert {"vol.reserver", "hotel.reserver", "voiture.reserver"} == {*said[1:4]}
    assert said[-3:] == ["paiement.debiter", "paiement.effectue", "voyage.confirme"]
    assert monitored(led.settings, key) == ("COMPLETED", [])


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"vol_id": "AF-RIEN"}, VolRefuse),
        ({"hotel_id": "BELVEDERE"}, HotelRefuse),
        ({"voiture_id": "CABRIOLET"}, VoitureRefusee),
    ],
)
def test_a_booking_that_is_refused_undoes_the_others_and_asks_for_no_payment(
    led: RunningSaga, demande: Demande, monitored: Monitored, changes: dict[str, str], refusal: type[Event]
) -> None:
    key = led.say(demande(new_key(), **changes))
    said = led.await_said(key, refusal, VoyageAnnule, *BOOKINGS_UNDONE)
    assert not {"voyage.confirme", "paiement.debiter", "paiement.rembourser"} & {*said}
    assert alternating(said)
    assert monitored(led.settings, key) == ("COMPENSATED", [])


def test_a_payment_that_is_refused_is_undone_before_the_bookings(
    led: RunningSaga, demande: Demande, monitored: Monitored
) -> None:
    key = led.say(demande(new_key(), client_id="CLIENT-FAUCHE"))
    said = led.await_said(key, PaiementEchoue, VoyageAnnule, PaiementRembourse, *BOOKINGS_UNDONE)
    assert said[said.index("voyage.annule") + 1 :][:2] == UNDOING
    assert alternating(said)
    assert monitored(led.settings, key) == ("COMPENSATED", [])


def test_a_cancellation_after_the_confirmation_undoes_in_the_reverse_order(
    led: RunningSaga, tmp_path: Path, demande: Demande, monitored: Monitored
) -> None:
    key = led.say(demande(new_key()))
    led.await_said(key, VoyageConfirme)
    led.say(VoyageAnnulationDemandee(voyage_id=key, raison="changement d'avis"))
    said = led.await_said(key, VoyageAnnule, PaiementRembourse, *BOOKINGS_UNDONE)
    assert said[said.index("voyage.annule") + 1 :][:2] == UNDOING
    assert alternating(said)
    assert monitored(led.settings, key) == ("COMPENSATED", [])
    # The bookings ran side by side: only the agency knows which of them answered last.
    commands = [type_ for type_ in said if type_.endswith(".annuler")]
    executed = [name for name in progress(tmp_path, key)["executed"] if f"{name}.annuler" in commands]
    assert commands == [f"{name}.annuler" for name in reversed(executed)]


def test_a_service_that_does_not_answer_in_time_is_waited_for_in_the_compensation_alone(
    broker_url: str, tmp_path: Path, demande: Demande, monitored: Monitored
) -> None:
    settings = settings_for(broker_url, tmp_path, deadline=1.0)
    # Somebody else runs the car rental, and is away.
    away = Service("voiture", foreign=True)
    without = replace(
        ORCHESTRATED, services=tuple(away if s.name == "voiture" else s for s in ORCHESTRATED.services)
    )
    with running_saga(without, settings) as running:
        key = running.say(demande(new_key()))
        said = running.await_said(key, VoyageAnnule)
        assert "paiement.debiter" not in said
        state, remaining = monitored(settings, key)
        assert (state, "voiture.annulee" in remaining) == ("COMPENSATING", True)
    with running_saga(ORCHESTRATED, settings) as running:
        said = running.await_said(key, *BOOKINGS_UNDONE)
    assert not {PaiementEffectue.TYPE, "paiement.debiter", "paiement.rembourser"} & {*said}
    assert monitored(settings, key) == ("COMPENSATED", [])
