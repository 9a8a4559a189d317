"""A foreign service is declared, proved and documented like any other; what runs or reads services skips it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.cli.main import main
from choregraphie.settings import Settings
from tests.support.atelier import APP, FOREIGN, SAGA

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGA_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.sqlite3")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [["run", "atelier"], ["run", "accueil", "atelier"], ["ready", "atelier"], ["inspect", "atelier"]],
    ids=" ".join,
)
def test_it_cannot_be_run_or_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(FOREIGN, arguments)
    assert left.value.code == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "atelier is a foreign service: others run it, and keep its data" in shown


@pytest.mark.parametrize(
    "arguments", [["journal", "REP-1"], ["outbox", "list"], ["outbox", "resend", "--since", "1h"]], ids=" ".join
)
def test_nor_be_chosen_by_an_option(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(FOREIGN, [*arguments, "--service", "atelier"])
    assert "atelier is a foreign service" in capsys.readouterr().err


def test_what_a_foreign_decider_has_cancelled_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found would read as nothing open."""
    deciding = replace(
        FOREIGN,
        services=tuple(
            replace(one, foreign=True, reactions=(), timed=()) if one.name == SAGA.decider else one
            for one in FOREIGN.services
        ),
    )
    assert main(deciding, ["journal", "--open"]) == 2
    assert "journal: accueil decides and is run by others" in capsys.readouterr().err


def test_commands_about_all_services_leave_it_out(own_databases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # None of the databases exists, and only the own service's is missed.
    assert main(FOREIGN, ["journal", "REP-1"]) == 2
    shown = capsys.readouterr().err
    assert "accueil.sqlite3: no such database" in shown
    assert "atelier" not in shown
    assert not [*own_databases.iterdir()]


def test_an_application_of_foreign_services_alone_has_nothing_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tuple(replace(service, foreign=True, reactions=(), timed=()) for service in APP.services)
    assert main(replace(APP, services=foreign), ["run", "all"]) == 2
    assert capsys.readouterr().err == (
        "choregraphie: application reparations: every service is foreign: there is none to run here\n"
    )


def test_it_is_proved_without_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FOREIGN, ["choreography", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"]


def test_its_document_is_that_of_the_same_service_with_code(capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for application in (APP, FOREIGN):
        assert main(application, ["choreography", "asyncapi", "--service", "atelier"]) == 0
        document = json.loads(capsys.readouterr().out)
        for operation in document["operations"].values():
            del operation["summary"]
        documents.append(document)
    assert documents[0] == documents[1]


def test_its_exchange_and_its_queues_are_declared() -> None:
    settings = Settings(retry_delays=(1,))
    assert FOREIGN.topology(settings) == APP.topology(settings)
    names = {queue.name for queue in FOREIGN.topology(settings).queues}
    assert {"atelier.inbox", "atelier.dlq", "atelier.retry.1"} <= names
    assert SAGA.services == ("atelier", "accueil")
