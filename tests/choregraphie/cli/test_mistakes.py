"""A mistake is said in one line that names what is at fault: the option, the setting, the file, the broker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from choregraphie import read_settings
from choregraphie.cli.main import main
from choregraphie.storage.database import open_database
from services.application import APP


@pytest.fixture
def databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the services' databases, which has none yet."""
    monkeypatch.setenv("SAGA_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.sqlite3")
    return tmp_path


def test_a_damaged_file_is_named(
    databases: Path, amqp_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", amqp_url)
    damaged = databases / "stock.sqlite3"
    damaged.write_text("this is not a database, whatever its name says")
    for verb in (["settle", "CMD-1", "--undone", "stock", "--because", "by hand"], ["inspect", "stock"]):
        assert main(APP, verb) == 2
        assert capsys.readouterr().err == f"services: sqlite:///{damaged}: file is not a database\n"


@pytest.mark.parametrize(
    "verb",
    [
        ["inspect", "paiement"],
        ["outbox", "list", "--service", "paiement"],
        ["journal", "CMD-1", "--service", "paiement"],
        ["outbox", "resend", "--since", "1h", "--service", "paiement"],
    ],
    ids=" ".join,
)
def test_the_database_of_another_service_is_refused(
    databases: Path,
    amqp_url: str,
    verb: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", amqp_url)
    open_database(APP.own["stock"], read_settings(os.environ)).close()
    (databases / "stock.sqlite3").rename(databases / "paiement.sqlite3")
    assert main(APP, verb) == 2
    said = f"sqlite:///{databases}/paiement.sqlite3: not the database of paiement, but of stock"
    assert capsys.readouterr().err.splitlines()[-1] == f"services: {said}"


def test_an_empty_file_is_no_database_yet(databases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (databases / "stock.sqlite3").touch()
    assert main(APP, ["inspect", "stock"]) == 2
    said = f"sqlite:///{databases}/stock.sqlite3: it has no tables yet; has a worker of stock run?"
    assert capsys.readouterr().err == f"services: {said}\n"


def test_a_resend_that_fails_at_a_later_service_says_what_was_sent(
    databases: Path, amqp_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", amqp_url)
    open_database(APP.own["stock"], read_settings(os.environ)).close()
    assert main(APP, ["outbox", "resend", "--since", "1h", "--service", "stock", "--service", "paiement"]) == 2
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first == "stock: 0 events said again before this ended"
    assert second.startswith("paiement: 0 events")


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (
            ["topology", "export", "--passwords", "/nowhere"],
            "services: /nowhere: there is no such folder of passwords",
        ),
        (["settle", "", "--undone", "stock", "--because", "x"], "services: argument KEY: expected a key"),
        (["journal", ""], "services: argument KEY: expected a key"),
    ],
    ids=["passwords", "settle", "journal"],
)
def test_what_is_empty_or_missing_is_refused(
    verb: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(APP, verb)
    except SystemExit as left:
        code = int(str(left.code))
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.startswith(said)) == (2, "", True), printed.err


def test_a_bad_url_is_blamed_on_where_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(APP, ["relay", "--once", "--database", "bogus"]) == 2
    assert capsys.readouterr().err.startswith("services: --database is no URL such as sqlite:///")
    monkeypatch.setenv("SAGA_DATABASE_URL", "bogus")
    assert main(APP, ["relay", "--once"]) == 2
    assert capsys.readouterr().err.startswith("services: SAGA_DATABASE_URL is no URL such as sqlite:///")


def test_a_broker_that_is_away_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://guest:guest@127.0.0.1:1/")
    assert main(APP, ["dlq", "list"]) == 2
    said = capsys.readouterr().err
    assert said == "services: broker away (127.0.0.1:1: Connection refused); SAGA_AMQP_URL names the broker\n"


def test_a_management_that_is_away_is_named_with_its_setting(
    amqp_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", amqp_url)
    monkeypatch.setenv("SAGA_MANAGEMENT_URL", "http://guest:guest@127.0.0.1:1")
    assert main(APP, ["topology", "check"]) == 2
    said = "SAGA_MANAGEMENT_URL, 127.0.0.1:1: the management does not answer: Connection refused"
    assert capsys.readouterr().err == f"services: {said}\n"
