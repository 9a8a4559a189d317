"""A service written elsewhere, with pika and plain JSON, takes part in a saga to its end."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from choregraphie import Settings
from choregraphie.testing.running import RunningSaga, running_saga
from tests.support.atelier import (
    FOREIGN,
    AppareilRendu,
    AppareilRepare,
    ReparationAnnulationDemandee,
    ReparationAnnulee,
    ReparationDemandee,
    ReparationTerminee,
)
from tests.support.workers import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.foreign_client import ForeignClient, ReceivedMessage

DEMANDE = ReparationDemandee(reparation_id="REP-1", appareil="GRILLE-PAIN")


@pytest.fixture
def saga(amqp_url: str, tmp_path: Path) -> Iterator[RunningSaga]:
    """The desk runs here; the workshop is the foreign client of the test."""
    settings = Settings(
        amqp_url=amqp_url, database_url=f"sqlite:///{tmp_path}/{{service}}.sqlite3", retry_delays=(0.2,)
    )
    with running_saga(FOREIGN, settings) as running:
        yield running


class Workshop:
    """The foreign service: it hears its inbox, and says what it does in the exchange that is its own."""

    def __init__(self, client: ForeignClient) -> None:
        self._client = client

    def hear(self, type_: str) -> ReceivedMessage:
        heard = self._client.get("atelier.inbox", within_seconds=90)
        assert heard is not None
        assert heard.json["type"] == type_
        return heard

    def answer(self, heard: ReceivedMessage, type_: str, **data: str) -> None:
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": type_,
            "source": "/services/atelier",
            "causationid": heard.json["id"],
            "data": {"reparation_id": heard.json["data"]["reparation_id"], **data},
        }
        assert self._client.publish("atelier.events", type_, event, content_type="application/json")


@pytest.fixture
def workshop(foreign_client: ForeignClient) -> Workshop:
    return Workshop(foreign_client)


def test_it_does_its_step_and_undoes_it(saga: RunningSaga, workshop: Workshop) -> None:
    saga.say(DEMANDE)
    workshop.answer(workshop.hear("reparation.demandee"), "appareil.repare")
    saga.await_said("REP-1", ReparationTerminee)
    saga.say(ReparationAnnulationDemandee(reparation_id="REP-1", raison="trop tard"))
    workshop.answer(workshop.hear("reparation.annulee"), "appareil.rendu")
    said = saga.await_said("REP-1", ReparationAnnulee, AppareilRendu)
    assert AppareilRepare.TYPE in said


@pytest.fixture
def monitored(saga: RunningSaga, tmp_path: Path) -> Callable[..., tuple[int, Any]]:
    """Asks the monitor; returns its exit code and its answer."""
    settings = {"amqp_url": saga.settings.amqp_url, "monitor_database": tmp_path / "monitor.sqlite3"}

    def ask(*arguments: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "saga_monitor", "--app", "tests.support.atelier:FOREIGN", *arguments]
        done = subprocess.run(
            [*command, "--json"],
            cwd=ROOT,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return ask


def test_the_monitor_tells_what_it_did(
    saga: RunningSaga, workshop: Workshop, monitored: Callable[..., tuple[int, Any]]
) -> None:
    saga.say(DEMANDE)
    workshop.answer(workshop.hear("reparation.demandee"), "appareil.repare")
    saga.await_said("REP-1", ReparationTerminee)
    code, shown = monitored("show", "REP-1")
    assert (code, shown["state"], shown["flags"]) == (0, "COMPLETED", [])


def test_the_monitor_tells_that_others_must_start_it(
    saga: RunningSaga, monitored: Callable[..., tuple[int, Any]]
) -> None:
    saga.say(DEMANDE)
    code, shown = monitored("anomalies")
    assert code == 1
    assert "atelier is a foreign service; start it where it is run" in json.dumps(shown)


def test_its_refusal_cancels(saga: RunningSaga, workshop: Workshop) -> None:
    saga.say(DEMANDE)
    workshop.answer(workshop.hear("reparation.demandee"), "appareil.refuse", raison="irréparable")
    workshop.answer(workshop.hear("reparation.annulee"), "appareil.rendu")
    said = saga.await_said("REP-1", ReparationAnnulee, AppareilRendu)
    assert ReparationTerminee.TYPE not in said


def test_it_may_use_its_retry_queue(saga: RunningSaga, workshop: Workshop, foreign_client: ForeignClient) -> None:
    saga.say(DEMANDE)
    heard = workshop.hear("reparation.demandee")
    key = "200ms.reparation.demandee"
    assert foreign_client.publish("atelier.retry", key, heard.body, content_type="application/json")
    assert workshop.hear("reparation.demandee").body == heard.body


def test_what_it_rejects_is_a_dead_letter(saga: RunningSaga, foreign_client: ForeignClient) -> None:
    saga.say(DEMANDE)
    body = foreign_client.reject("atelier.inbox")
    letter = foreign_client.get("atelier.dlq", within_seconds=90)
    assert letter is not None
    assert letter.body == body
