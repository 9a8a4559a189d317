"""The commands of `python -m services`: one line for a mistake, and tables that are complete on a pipe."""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from choregraphie import Settings
from choregraphie.cli import journal
from choregraphie.cli.main import _parser
from choregraphie.testing import open_harness
from services.__main__ import main
from services.application import APP
from services.stock import SERVICE as STOCK
from tests.support.event_builders import annulee, demande, initiee

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    monkeypatch.setenv("SAGA_DATABASE_URL", url)
    return Settings(database_url=url, catalogue=APP.seed)


@pytest.mark.parametrize(
    "wrong",
    [
        ["run", "nope"],
        ["inspect", "stock", "--nope"],
        ["outbox", "resend", "--since", "9999999d"],
        ["outbox", "resend", "--since", "long ago"],
        ["journal", "no UTF-8: \udcff"],
        ["settle", "no UTF-8: \udcff", "--undone", "stock", "--because", "x"],
        [],
    ],
    ids=ascii,
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(wrong: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    (printed,) = capsys.readouterr().err.splitlines()
    assert (end.value.code, printed.startswith("services: ")) == (2, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SAGA_CARRIER", "smtp://mail:99999"),
        ("SAGA_GATEWAY", "http://[::1"),
        ("SAGA_DATABASE_URL", "postgresql://u@h:abc/x"),
        ("SAGA_AMQP_URL", "amqps://u:p@h/?cafile=/nowhere.pem"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    key: str, value: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key, value)
    assert main(["inspect", "stock"]) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"services: {key}")


def test_an_id_is_printed_whole_and_not_as_markup(
    database: Settings, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    produit, order = "[/b]" + "P" * 60, "[/red]" + "C" * 90
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(f'[produits]\n"{produit}" = 5\n')
    with open_harness(STOCK, database.model_copy(update={"catalogue": catalogue})) as harness:
        harness.hear(initiee(order, produit_id=produit, quantite=1))
    assert main(["inspect", "stock"]) == 0
    assert produit in capsys.readouterr().out
    assert main(["journal", order, "--service", "stock"]) == 0
    assert order in capsys.readouterr().out.replace("\n", "")


def cancelled_and_still_held(database: Settings) -> None:
    with open_harness(APP.by_name["commande"], database) as harness:
        harness.hear(initiee("A"), demande("A"))
        harness.now += dt.timedelta(days=400)
        harness.store.mark_published([envelope.id for envelope in harness.envelopes])
        harness.now += dt.timedelta(days=400)
        assert harness.store.purge() > 0
    with open_harness(STOCK, database) as harness:
        harness.hear(initiee("A"), initiee("B"))


def test_a_cancelled_order_that_still_holds_something_stays_in_the_list_of_open_ones(
    database: Settings, capsys: Captured
) -> None:
    cancelled_and_still_held(database)
    capsys.readouterr()
    assert main(["journal", "--open", "--service", "stock", "--json"]) == 1
    entries = json.loads(capsys.readouterr().out)
    assert [(entry["commande_id"], entry["action"]) for entry in entries] == [("A", "reserver")]
    with open_harness(STOCK, database) as harness:
        harness.hear(harness.enveloped(annulee("A"), id="the-cancellation"))
    assert main(["journal", "--open", "--service", "stock"]) == 0


def test_a_journal_names_the_database_that_is_missing(database: Settings, capsys: Captured) -> None:
    cancelled_and_still_held(database)
    capsys.readouterr()
    assert main(["journal", "A", "--json"]) == 0
    printed = capsys.readouterr()
    assert {entry["service"] for entry in json.loads(printed.out)} == {"stock", "commande"}
    paiement, notification = printed.err.splitlines()
    assert "paiement.sqlite3: no such database" in paiement
    assert "notification.sqlite3: no such database" in notification
    assert main(["journal", "A", "--service", "paiement"]) == 2, "it may be there that something was done"
    with open_harness(STOCK, database) as harness:
        harness.hear(harness.enveloped(annulee("A"), id="the-cancellation"))
    assert main(["journal", "--open"]) == 2, "it may be there that something is open"


def test_ready_says_that_the_broker_is_away(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://guest:guest@127.0.0.1:1/")
    assert main(["ready", "stock", "--json"]) == 1
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert (answer["ready"], answer["missing"]) == ([], ["stock"])
    assert answer["why"]["stock"].startswith("the broker is away: ")
    (line,) = printed.err.splitlines()
    assert line.startswith("services: not ready: stock (the broker is away: ")


def verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of every command and of its actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from verbs(inner)


def test_the_help_of_every_command_explains_it() -> None:
    assert [verb.prog for verb in verbs(_parser(APP)) if not verb.description] == []


@pytest.fixture
def all_databases(database: Settings) -> Settings:
    for service in APP.by_name.values():
        with open_harness(service, database):
            pass
    return database


@pytest.mark.usefixtures("all_databases")
def test_several_services_are_one_document_keyed_by_service(capsys: Captured) -> None:
    assert main(["inspect", "all", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert list(whole) == list(APP.by_name)
    for again in (["stock"], ["stock", "stock"]):
        assert main(["inspect", *again, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == whole["stock"]


@pytest.mark.parametrize(
    "verb", [["run", "stock", "paiement"], ["inspect", "all"], ["outbox", "list"]], ids=" ".join
)
def test_a_database_url_without_the_service_name_is_refused(
    verb: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAGA_DATABASE_URL", f"sqlite:///{tmp_path}/one.sqlite3")
    assert main(verb) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith("services: SAGA_DATABASE_URL: {service} is missing")


def into(output: int, *command: str) -> tuple[int, str]:
    """Run a command with `output` as its standard output. Returns exit code and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "services", *command],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.usefixtures("all_databases")
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_a_closed_pipe_is_no_error(form: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert into(writing, "inspect", "all", *form) == (0, "")
    finally:
        os.close(writing)


@pytest.mark.usefixtures("all_databases")
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_a_full_disk_is_one_line_and_exit_code_2(form: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        code, printed = into(full.fileno(), "inspect", "all", *form)
    assert (code, printed) == (2, "services: standard output: No space left on device\n")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_journal_fits_its_terminal(database: Settings, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times count from the first action, and ids are shortened to what tells them apart."""
    order = "CMD-65B0CCC543E14A4E"
    with open_harness(STOCK, database) as harness:
        harness.hear(initiee(order), annulee(order))
    shown = Console(width=width, highlight=False)
    monkeypatch.setattr(journal, "console_of", lambda **_: shown)
    with shown.capture() as captured:
        assert main(["journal", order, "--service", "stock"]) == 0
    lines = captured.get().splitlines()
    assert lines[0].startswith(order)
    assert max(len(line.rstrip()) for line in lines) <= width
    held = next(line for line in lines if "reserver" in line)
    assert held.split()[:4] == ["+0", "ms", "stock", "reserver"]
