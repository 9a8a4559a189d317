"""`inspect --json` writes what JSON has no form for as text, or refuses it in one line."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from choregraphie import Settings
from choregraphie.cli.main import main
from choregraphie.testing import open_harness
from services.application import APP
from services.stock import SERVICE as STOCK

Inspect = Callable[..., tuple[int, str, str]]

NOON = dt.datetime(2026, 11, 29, 12, 0, tzinfo=dt.UTC)
NUMBER = uuid.UUID(int=7)


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inspect:
    """Runs `inspect stock` where stock's business state is `{"produits": {"VIS": value}}`."""
    url = f"sqlite:///{tmp_path}/{{service}}.sqlite3"
    monkeypatch.setenv("SAGA_DATABASE_URL", url)
    with open_harness(STOCK, Settings(database_url=url)):
        pass

    def run(value: Any, *options: str) -> tuple[int, str, str]:
        stock = replace(STOCK, inspect=lambda connection: {"produits": {"VIS": value}})
        others = [service for service in APP.services if service.name != "stock"]
        code = main(replace(APP, services=(stock, *others)), ["inspect", "stock", *options])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, 7),
        (1.5, 1.5),
        ("é", "é"),
        (None, None),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (b"\xff\x00", "_wA="),
        (NOON, "2026-11-29T12:00:00Z"),
        (NOON.date(), "2026-11-29"),
        (Decimal("1.20"), "1.20"),
        (NUMBER, str(NUMBER)),
        ({1}, [1]),
        ({NOON.date(): 1}, {"2026-11-29": 1}),
    ],
    ids=repr,
)
def test_what_json_lacks_is_text(value: Any, text: Any, inspect: Inspect) -> None:
    code, printed, errors = inspect(value, "--json")
    assert (code, errors) == (0, "")
    assert json.loads(printed, parse_constant=pytest.fail) == {"produits": {"VIS": text}}


def test_it_has_the_form_of_every_other_verb(inspect: Inspect) -> None:
    assert inspect({"é": 1, "b": 2}, "--json")[1] == '{"produits": {"VIS": {"é": 1, "b": 2}}}\n'


@pytest.mark.parametrize("value", [object(), {"a": object()}, "\ud800"], ids=["object", "below", "surrogate"])
def test_what_has_no_text_is_refused_in_one_line(value: Any, inspect: Inspect) -> None:
    code, printed, errors = inspect(value, "--json")
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("services: inspect: what it shows cannot be written as JSON: ")


@pytest.mark.parametrize("value", [float("nan"), b"\xff", NOON, object()], ids=["nan", "bytes", "time", "object"])
def test_the_table_shows_every_value(value: Any, inspect: Inspect) -> None:
    code, printed, errors = inspect(value)
    assert (code, errors) == (0, "")
    assert "VIS" in printed
