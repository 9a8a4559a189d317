"""A mistake is said in one line that names what is at fault: the option, the setting, the file, the broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from choregraphie.cli.main import main
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
