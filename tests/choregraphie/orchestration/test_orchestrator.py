"""The orchestrator as a service: it keeps an instance in its row, and survives what it should never hear."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from choregraphie import Settings
from choregraphie.orchestration import orchestrator
from choregraphie.saga.fields import Identifier
from choregraphie.service.verdict import DeadLetter, RetryAfter
from choregraphie.testing import ServiceHarness, open_harness
from tests.choregraphie.orchestration.sample_saga import (
    ANNULATION,
    CHAMBRE,
    DEMANDE,
    DOSSIER,
    LETTRE,
    PAIEMENT,
    SEJOURS,
    TRAIN,
    command,
    sejours,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from choregraphie.orchestration import Orchestration
    from choregraphie.saga.envelope import Event

KEY = "SEJOUR-1"


@pytest.fixture
def guide(database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    with open_harness(orchestrator(SEJOURS), Settings(database_url=database_for("guide"))) as harness:
        yield harness


def of(cls: Any, **data: Any) -> Event:
    """The event of that class about the one stay."""
    usual = {"client_id": "CLIENT-1", "raison": "complet"}
    known = {name: value for name, value in usual.items() if name in cls.model_fields}
    event: Event = cls(sejour_id=KEY, **known | data)
    return event


def hear(guide: ServiceHarness, *classes: Any) -> list[str]:
    """Hear an event of each class, one after another. Returns the types said to the last one."""
    said: list[str] = []
    for cls in classes:
        said = [event.TYPE for event in guide.hear(of(cls))]
    return said


def stays(guide: ServiceHarness) -> dict[str, int]:
    found: dict[str, int] = guide.inspect()["sejour"]
    return {state: number for state, number in found.items() if number}


def row(guide: ServiceHarness) -> Any:
    with guide.database.begin() as connection:
        return connection.execute(text("SELECT * FROM guide_instances")).one()


def test_an_instance_is_led_through_its_steps_to_its_end(guide: ServiceHarness) -> None:
    assert hear(guide, DEMANDE) == ["train.reserver", "chambre.reserver"]
    assert hear(guide, TRAIN.success) == []
    assert hear(guide, CHAMBRE.success) == ["paiement.reserver"]
    assert hear(guide, PAIEMENT.success, DOSSIER.success) == ["lettre.envoyer"]
    assert hear(guide, LETTRE.success) == []
    assert stays(guide) == {"COMPLETED": 1}


def test_a_command_carries_what_was_heard_before(guide: ServiceHarness) -> None:
    (train, _) = guide.hear(of(DEMANDE, client_id="CLIENT-7"))
    assert train.model_dump() == {"sejour_id": KEY, "client_id": "CLIENT-7"}
    (cancelled,) = guide.hear(of(TRAIN.refusal, raison="plus de place"))
    assert cancelled.model_dump() == {"sejour_id": KEY, "raison": "plus de place"}


def test_the_first_answer_too_late_cancels_and_a_late_success_is_undone(guide: ServiceHarness) -> None:
    hear(guide, DEMANDE, CHAMBRE.success)
    assert guide.tick(4.9) == []
    assert [event.TYPE for event in guide.tick(0.2)] == ["dossier.annuler"]
    assert hear(guide, TRAIN.success) == []
    assert hear(guide, DOSSIER.undone) == ["lettre.prevenir", "train.annuler"]
    assert hear(guide, TRAIN.undone) == ["chambre.annuler"]
    assert hear(guide, CHAMBRE.undone) == []
    assert stays(guide) == {"COMPENSATED": 1}
    assert row(guide).reason == "délai dépassé"


def test_the_undoing_of_a_step_with_a_timeout_has_until_the_deadline(guide: ServiceHarness) -> None:
    hear(guide, DEMANDE, CHAMBRE.success)
    assert [event.TYPE for event in guide.tick(5.1)] == ["dossier.annuler"]
    assert hear(guide, DOSSIER.undone) == ["lettre.prevenir", "train.annuler"]
    guide.tick(guide.settings.deadline - 1)
    assert "review" not in stays(guide), "its service may wait for what is down: no person is needed yet"
    guide.tick(2)
    assert stays(guide)["review"] == 1


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({"step_timeouts": {"train": 30.0}}, 30), ({"step_timeouts": {"chambre": 2.0}}, 2), ({"deadline": 3.0}, 3)],
)
def test_settings_give_a_step_another_time_than_declared_and_the_deadline_is_the_longest(
    settings: dict[str, Any], seconds: float, database_for: Callable[[str], str]
) -> None:
    limits = Settings(database_url=database_for("guide"), **settings)
    with open_harness(orchestrator(SEJOURS), limits) as guide:
        hear(guide, DEMANDE)
        assert guide.tick(seconds - 0.1) == []
        assert [event.TYPE for event in guide.tick(0.2)] == ["dossier.annuler"]


def test_a_step_that_has_answered_no_longer_counts_for_the_time_of_its_group(guide: ServiceHarness) -> None:
    hear(guide, DEMANDE, TRAIN.success)
    assert guide.tick(6) == [], "the room has until SAGA_DEADLINE"
    assert [event.TYPE for event in guide.tick(guide.settings.deadline)] == ["dossier.annuler"]


def test_an_undoing_without_an_answer_asks_for_a_person_and_ends_when_the_answer_comes(
    guide: ServiceHarness,
) -> None:
    hear(guide, DEMANDE, TRAIN.refusal, DOSSIER.undone)
    (asked,) = guide.tick(guide.settings.deadline + 1)
    assert asked.model_dump() == {"sejour_id": KEY, "etape": "chambre", "attendu": "chambre.annule"}
    assert stays(guide) == {"COMPENSATING": 1, "review": 1}
    assert guide.tick(guide.settings.deadline + 1) == [], "it waits for a person, whatever the time"
    hear(guide, CHAMBRE.undone, TRAIN.undone)
    assert stays(guide) == {"COMPENSATED": 1}


def test_what_was_only_late_is_not_the_reason_of_a_later_cancellation(guide: ServiceHarness) -> None:
    hear(guide, DEMANDE, TRAIN.success, CHAMBRE.success, PAIEMENT.success, DOSSIER.success)
    (asked,) = guide.tick(61)
    assert asked.model_dump() == {"sejour_id": KEY, "etape": "lettre", "attendu": "lettre.envoyee"}
    assert stays(guide) == {"RUNNING": 1, "review": 1}
    (cancelled,) = guide.hear(of(ANNULATION, raison="changement d'avis"))
    assert cancelled.model_dump() == {"sejour_id": KEY, "raison": "changement d'avis"}


def test_an_answer_that_was_not_asked_for_is_a_dead_letter_in_one_line_and_changes_nothing(
    guide: ServiceHarness,
) -> None:
    hear(guide, DEMANDE)
    before = row(guide)
    guide.hear(of(PAIEMENT.success), tolerate=True)
    verdict = guide.verdicts[-1]
    assert isinstance(verdict, DeadLetter)
    assert verdict.detail == "NotAsked: paiement.reserve: the step paiement was not asked for it"
    assert row(guide) == before


def test_an_answer_of_an_unknown_instance_is_a_dead_letter(guide: ServiceHarness) -> None:
    guide.hear(of(TRAIN.success), tolerate=True)
    assert isinstance(guide.verdicts[-1], DeadLetter)
    assert stays(guide) == {}


def test_a_demand_to_cancel_what_never_begins_is_forgotten(guide: ServiceHarness) -> None:
    hear(guide, ANNULATION)
    assert stays(guide) == {"NEW": 1}
    guide.now += dt.timedelta(days=2 * guide.settings.inbox_days)
    guide.store.purge()
    assert stays(guide) == {}


def test_an_instance_of_a_newer_version_is_left_to_a_newer_worker(
    guide: ServiceHarness, database_for: Callable[[str], str]
) -> None:
    newer = _other(guide, sejours(version=2))
    hear(newer, DEMANDE)
    before = row(guide)
    guide.hear(of(TRAIN.success), tolerate=True)
    verdict = guide.verdicts[-1]
    assert isinstance(verdict, RetryAfter)
    assert verdict.detail == (
        "NewerInstance: SEJOUR-1 was written by version 2 of the saga sejour, and this worker has 1; start workers"
        " of the newer one"
    )
    assert guide.tick(10) == [], "nor does its clock touch it"
    assert row(guide) == before
    assert hear(newer, TRAIN.success, CHAMBRE.success) == ["paiement.reserver"]


def test_a_value_that_no_command_can_carry_is_a_dead_letter_in_one_line(guide: ServiceHarness) -> None:
    strict = replace(PAIEMENT, command=command("paiement.reserver", client_id=Identifier))
    other = _other(guide, sejours(steps=(TRAIN, strict, DOSSIER)))
    hear(other, DEMANDE)
    with guide.database.begin() as connection:
        connection.execute(
            text("UPDATE guide_instances SET context = :context"),
            {"context": json.dumps({"sejour.demande": {"client_id": 7}})},
        )
    other.hear(of(TRAIN.success), tolerate=True)
    verdict = other.verdicts[-1]
    assert isinstance(verdict, DeadLetter)
    assert verdict.detail.startswith("NotWritable: paiement.reserver cannot be written: client_id")


def _other(guide: ServiceHarness, saga: Orchestration) -> ServiceHarness:
    """An orchestrator of another declaration on the same database."""
    return ServiceHarness(orchestrator(saga), guide.settings, guide.database)


def test_two_orchestrators_on_one_database_go_on_where_the_other_stopped(guide: ServiceHarness) -> None:
    other = _other(guide, SEJOURS)
    hear(guide, DEMANDE)
    hear(other, TRAIN.success)
    assert hear(guide, CHAMBRE.success) == ["paiement.reserver"]
    hear(other, PAIEMENT.refusal)
    assert hear(guide, DOSSIER.undone) == ["lettre.prevenir", "paiement.annuler"]
