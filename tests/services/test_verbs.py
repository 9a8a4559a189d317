"""The operator's verbs: one line about a mistake, and tables that say everything on a pipe too."""

from pathlib import Path

import pytest

from services.__main__ import main
from services.runtime import Settings, open_desk
from services.stock import SERVICE as STOCK
from tests.support.facts import initiee

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    monkeypatch.setenv("SAGA_DATABASE_URL", url)
    return Settings(database_url=url)


@pytest.mark.parametrize(
    "wrong",
    [
        ["run", "nope"],
        ["inspect", "stock", "--nope"],
        ["outbox", "resend", "--since", "9999999d"],
        ["outbox", "resend", "--since", "yesterday"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(wrong: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    (said,) = capsys.readouterr().err.splitlines()
    assert (end.value.code, said.startswith("services: ")) == (2, True)


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
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"services: {key}")


def test_an_id_is_never_markup_and_never_cut(
    database: Settings, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    produit, order = "[/b]" + "P" * 60, "[/red]" + "C" * 90
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(f'[produits]\n"{produit}" = 5\n')
    with open_desk(STOCK, database.model_copy(update={"catalogue": catalogue})) as desk:
        desk.hear(initiee(order, produit_id=produit, quantite=1))
    assert main(["inspect", "stock"]) == 0
    assert produit in capsys.readouterr().out
    assert main(["journal", order, "--service", "stock"]) == 0
    assert order in capsys.readouterr().out.replace("\n", "")


def test_nobody_is_ready_when_the_broker_is_away_and_that_is_said(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://guest:guest@127.0.0.1:1/")
    assert main(["ready", "stock", "--json"]) == 1
    said = capsys.readouterr()
    assert said.out == '{"ready": [], "missing": ["stock"]}\n'
    (line,) = said.err.splitlines()
    assert line.startswith("services: not ready: stock (the broker is away: ")
