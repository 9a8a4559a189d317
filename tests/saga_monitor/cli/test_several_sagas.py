"""The commands on an application of several sagas: they show all of them, or the one that is chosen."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from saga_monitor import __main__
from tests.saga_monitor.several_history import SAME, several_kinds
from tests.support.several_sagas import SEVERAL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


@pytest.fixture
def ask(
    monkeypatch: pytest.MonkeyPatch, stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs the command line on a history of several sagas."""
    several_kinds(stream)
    monkeypatch.setenv("SAGA_MONITOR_DATABASE", str(tmp_path / "monitor.sqlite3"))
    monkeypatch.setenv("SAGA_AMQP_URL", "amqp://nobody:nothing@127.0.0.1:1/")
    monkeypatch.setattr(__main__, "open_history", lambda *_: stream.opening()())

    def run(*arguments: str) -> tuple[int, str, str]:
        code = __main__.main_for(SEVERAL, arguments)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_list_has_every_saga_and_each_key_under_its_own_name(ask: Any) -> None:
    found = json.loads(ask("list", "--json")[1])
    named = {"commande": "commande_id", "retour": "retour_id", "voyage": "voyage_id"}
    assert {(one["saga"], one[named[one["saga"]]]) for one in found} == {
        *((saga, SAME) for saga in named),
        *(("retour", "R-2"), ("retour", "R-3"), ("voyage", "V-2")),
    }
    assert all("commande_id" not in one for one in found if one["saga"] != "commande")
    shown = ask("list")[1]
    assert shown.splitlines()[0].split()[:3] == ["instance", "saga", "state"]
    assert "6 of 6 instances" in shown


def test_a_list_of_one_saga_speaks_of_it_alone(ask: Any) -> None:
    assert {one["saga"] for one in json.loads(ask("list", "--saga", "retour", "--json")[1])} == {"retour"}
    shown = ask("list", "--saga", "retour")[1]
    assert shown.splitlines()[0].split()[:2] == ["return", "state"]
    assert "3 of 3 returns" in shown
    found = json.loads(ask("list", "--saga", "voyage", "--search", "same", "--json")[1])
    assert [(one["saga"], one["voyage_id"]) for one in found] == [("voyage", SAME)]


def test_a_key_that_several_sagas_have_must_be_chosen(ask: Any) -> None:
    code, out, err = ask("show", SAME)
    assert (code, out) == (2, "")
    wanted = (
        f"several sagas have the key {SAME}: choose one with --saga commande or --saga retour or --saga voyage"
    )
    assert err == f"saga_monitor: {wanted}\n"
    assert ask("report", SAME)[0] == 2
    shown = json.loads(ask("show", SAME, "--saga", "voyage", "--json")[1])
    assert (shown["voyage_id"], shown["saga"], shown["state"]) == (SAME, "voyage", "RUNNING")
    assert {event["type"] for event in shown["events"]} == {"voyage.demande", "vol.reserve"}
    assert shown["dead_letters_set_aside"] == []
    of_return = json.loads(ask("show", SAME, "--saga", "retour", "--json")[1])
    assert len(of_return["dead_letters_set_aside"]) == 1


def test_a_key_of_one_saga_needs_no_choice(ask: Any) -> None:
    assert "saga retour" in ask("show", "R-2")[1]
    assert "completed in" in ask("show", "R-2")[1]
    assert ask("show", "R-2", "--saga", "voyage")[0] == 1
    assert ask("show", "NOPE")[2].endswith("no instance NOPE in the history\n")


def test_a_join_says_which_events_are_missing(ask: Any) -> None:
    shown = json.loads(ask("show", SAME, "--saga", "voyage", "--json")[1])
    assert {step["step"]: step["state"] for step in shown["steps"]} == {
        "vol": "done",
        "hotel": "running",
        "reglement": "waiting",
        "agence": "waiting",
    }
    assert shown["remaining"][0] == "hotel.reserve"


def test_a_report_has_the_totals_of_all_and_of_each(ask: Any) -> None:
    report = json.loads(ask("report", "--json")[1])
    assert report["sagas"]["total"] == 6
    assert {name: of["sagas"]["total"] for name, of in report["by_saga"].items()} == {
        "commande": 1,
        "retour": 3,
        "voyage": 2,
    }
    assert sum(of["events"] for of in report["by_saga"].values()) == report["events"]
    assert list(report["by_saga"]["voyage"]["steps"]) == ["vol", "hotel", "reglement", "agence"]
    assert report["by_saga"]["retour"]["compensations"] == report["compensations"] == 1
    one = json.loads(ask("report", "--saga", "voyage", "--json")[1])
    assert "by_saga" not in one
    assert one | {"anomalies": None} == report["by_saga"]["voyage"] | {
        "anomalies": None,
        "fresh": True,
    }
    shown = ask("report")[1]
    for words in ("instances", "orders", "returns", "voyages", "whole voyage", "  reglement"):
        assert words in shown


def test_a_table_of_each_has_a_column_for_the_saga(ask: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("report", "--each", "--csv")[1])))
    assert {(row["key"], row["saga"]) for row in rows} > {(SAME, "commande"), (SAME, "retour"), (SAME, "voyage")}
    (voyage,) = (row for row in rows if row["key"] == "V-2")
    assert (voyage["reglement_ms"], voyage["stock_ms"]) == ("200", "")
    (refused,) = (row for row in rows if row["key"] == "R-3")
    assert refused["error"] == "abîmé"
    one = list(csv.DictReader(io.StringIO(ask("report", "--each", "--csv", "--saga", "voyage")[1])))
    assert [row["voyage_id"] for row in one] == [SAME, "V-2"]
    assert "stock_ms" not in one[0]
    assert "voyage" in ask("report", "--each")[1]


def test_a_history_is_of_a_key_in_one_saga(ask: Any) -> None:
    entries = [
        json.loads(line) for line in ask("history", "--key", SAME, "--saga", "voyage", "--json")[1].splitlines()
    ]
    assert [entry["event"]["type"] for entry in entries] == ["voyage.demande", "vol.reserve"]
    all_of_it = ask("history", "--voyage", SAME, "--json")[1].splitlines()
    assert len(all_of_it) > len(entries)


def test_anomalies_are_of_one_saga(ask: Any) -> None:
    everything = json.loads(ask("anomalies", "--json")[1])
    assert {one["saga"] for one in everything} >= {"retour", "voyage"}
    of_voyage = json.loads(ask("anomalies", "--saga", "voyage", "--json")[1])
    assert {one["saga"] for one in of_voyage} == {"voyage", None}
    (stuck,) = (one for one in of_voyage if one["kind"] == "stuck")
    assert stuck["voyage_id"] == SAME
    assert (
        "python -m several"
        in ask(
            "letter",
            str(
                json.loads(ask("show", SAME, "--saga", "retour", "--json")[1])["dead_letters_set_aside"][0][
                    "offset"
                ]
            ),
        )[1]
    )


def test_an_unknown_saga_is_one_line(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        ask("list", "--saga", "vol")
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "commande" in err


def test_the_saga_is_offered_only_where_there_is_a_choice(
    ask: Any, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    helps = []
    for run in (ask, command):
        with pytest.raises(SystemExit):
            run("list", "--help")
        helps.append(capsys.readouterr().out)
    assert ["--saga" in told for told in helps] == [True, False]
    assert command("list", "--saga", "commande")[0] == 0
