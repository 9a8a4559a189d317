"""The history as it was said, the world as it was, and reports on each order."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from choregraphie.saga.topology import ATTEMPT_HEADER, NEXT_HEADER
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PAID, SCENARIOS, START, Stream, event_bytes


@pytest.fixture
def told(stream: Stream) -> Stream:
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", lines)
    for number in range(10):
        stream.add(bytes([number, 255]), "client.events")
    headers = {ATTEMPT_HEADER: 1, NEXT_HEADER: (START + dt.timedelta(seconds=5)).isoformat()}
    stream.retry("paiement", event_bytes("CMD-0", HELD[1]), headers)
    stream.set_aside("stock", event_bytes("CMD-0", PAID[0]), "invalid")
    return stream


def lines_of(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_history_is_told_as_it_was_said(command: Any, told: Stream) -> None:
    code, out, err = command("history", "--json")
    assert (code, err) == (0, "")
    events = lines_of(out)
    assert len(events) == sum(map(len, SCENARIOS.values()))
    assert events[1]["event"] == json.loads(told.kept[1].body)
    place = {"offset": 1, "kind": "said", "exchange": "stock.events", "content_mode": "structured"}
    assert events[1] | {"event": None} == place | {"event": None}
    assert "CMD-0  reservation_id=R-1, client_id=CLIENT-123" in command("history")[1]


def test_the_history_is_narrowed(command: Any, told: Stream) -> None:
    of_type = lines_of(command("history", "--json", "--type", "stock.libere")[1])
    assert {entry["event"]["type"] for entry in of_type} == {"stock.libere"}
    of_order = lines_of(command("history", "--json", "--commande", "CMD-0", "--all")[1])
    assert [entry["kind"] for entry in of_order] == ["said"] * len(CONFIRMED) + ["retried", "dead_letter"]
    assert len(lines_of(command("history", "--json", "--since", "2024-11-22T19:00")[1])) == 4
    everything = lines_of(command("history", "--json", "--all")[1])
    assert sum(entry["kind"] == "ignored" for entry in everything) == 10


def test_an_event_that_nobody_knows_is_told_and_kept(command: Any, told: Stream) -> None:
    """Of a newer service, or of a client's own making: not judged, and not lost."""
    envelope = json.loads(told.kept[0].body)
    told.add(json.dumps(envelope | {"type": "commande.emballee"}).encode(), "client.events")
    (entry,) = lines_of(command("history", "--json")[1])[-1:]
    assert (entry["kind"], entry["event"]["type"]) == ("unknown", "commande.emballee")
    code, out, err = command("history", "--type", "commande.emballee")
    assert (code, err) == (0, "saga_monitor: commande.emballee is not in the choreography; commande.annulee is\n")
    assert "commande.emballee" in out
    assert out.splitlines() == command("history", "--commande", "CMD-0")[1].splitlines()[-1:]
    (kept,) = json.loads(command("show", "CMD-0", "--json")[1])["unknown_events"]
    assert (kept["type"], kept["offset"]) == ("commande.emballee", entry["offset"])
    assert "commande.emballee" in command("show", "CMD-0")[1]
    assert json.loads(command("report", "--json")[1])["ignored"]["unknown"] == 1


def test_a_reader_that_has_seen_enough_is_no_error(command: Any, told: Stream, monkeypatch: Any) -> None:
    """`history | head`: the pipe is closed while the table is written."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w", buffering=1) as closed:
        monkeypatch.setattr("sys.stdout", closed)
        assert command("history")[0] == 0


@pytest.mark.parametrize(
    "arguments", [["list"], ["report", "--json"], ["report", "--orders", "--csv"], ["history"]]
)
def test_an_output_that_is_full_is_one_line(
    command: Any, told: Stream, monkeypatch: Any, arguments: list[str]
) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)
        code, _, err = command(*arguments)
    assert (code, err) == (2, "saga_monitor: standard output: No space left on device\n")


def test_a_hostile_word_stays_on_its_line(command: Any, stream: Stream) -> None:
    stream.publish("a\u200f2J[/]\u200b", HELD)
    shown = command("history")[1]
    assert "a\\u200f2J[/]\\u200b" in shown
    assert len(shown.splitlines()) == len(HELD)


@pytest.mark.parametrize("arguments", [["history"], ["history", "--json"], ["history", "--since", "5m"]])
def test_an_empty_history_has_nothing_to_tell(command: Any, arguments: list[str]) -> None:
    assert command(*arguments) == (0, "", "")


def test_a_history_that_cannot_be_read_is_one_line(command: Any, told: Stream) -> None:
    told.away = True
    code, out, err = command("history")
    assert (code, out) == (1, "")
    assert err.startswith("saga_monitor: broker away")
    assert len(err.splitlines()) == 1


def test_the_world_is_shown_as_it_was(command: Any, told: Stream) -> None:
    then = (START + dt.timedelta(milliseconds=320)).isoformat()
    shown = json.loads(command("show", "CMD-0", "--at", then, "--json")[1])
    assert (shown["state"], shown["remaining"]) == ("RUNNING", ["commande.creee", "notification.envoyee"])
    assert [event["type"] for event in shown["events"]] == [line.type for line in PAID]
    report = json.loads(command("report", "--at", then, "--json")[1])
    assert (report["sagas"]["total"], report["sagas"]["completed"], report["sagas"]["stuck"]) == (7, 0, 0)
    states = {order["state"] for order in json.loads(command("list", "--at", then, "--json")[1])}
    assert states == {"RUNNING", "FAILED"}
    code, _, err = command("show", "CMD-0", "--at", "2024-11-22T18:00")
    assert (code, err) == (1, "saga_monitor: no order CMD-0 in the history up to 2024-11-22T18:00:00.000Z\n")
    now, later = (
        json.loads(command("report", "--json")[1]),
        json.loads(command("report", "--at", "1s", "--json")[1]),
    )
    for same in ("sagas", "duration_ms", "steps", "dead_letters", "retries", "events"):
        assert later[same] == now[same]


@pytest.mark.parametrize(
    "time",
    [
        "tomorrow",
        "",
        "25:00",
        "2999-01-01",
        "9999999d",
        "0001-01-01T00:00+23:00",
        "0001-01-01",
        "1900-01-01",
        "30000d",
    ],
)
def test_a_bad_time_is_one_line(command: Any, time: str) -> None:
    at, since = f"--at={time or '?'}", f"--since={time or '?'}"
    for arguments in (["list", at], ["report", since], ["history", since]):
        code, out, err = command(*arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("arguments", [["show"], ["report"], ["history", "--key"]])
def test_a_key_that_is_not_utf_8_is_one_line(command: Any, arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        command(*arguments, "CMD-\udcff")
    assert (end.value.code, len(capsys.readouterr().err.splitlines())) == (2, 1)


def test_each_order_is_reported(command: Any, told: Stream) -> None:
    reports = {one["commande_id"]: one for one in json.loads(command("report", "--orders", "--json")[1])}
    assert len(reports) == len(SCENARIOS)
    assert reports["CMD-0"]["success"] is True
    assert reports["CMD-0"]["steps_ms"] == {"stock": 100, "paiement": 200, "commande": 50, "notification": 50}
    assert (reports["CMD-0"]["duration_ms"], reports["CMD-0"]["mean_step_ms"]) == (350, 100.0)
    refused = reports["CMD-2"]
    assert (refused["success"], refused["error"], refused["compensations"]) == (
        False,
        "insufficient balance",
        ["stock"],
    )
    assert json.loads(command("report", "CMD-2", "--json")[1]) == refused
    rows = list(csv.DictReader(io.StringIO(command("report", "--orders", "--csv")[1])))
    assert (rows[2]["success"], rows[2]["paiement_ms"], rows[2]["compensations"]) == ("False", "200", "stock")
    assert "insufficient balance" in command("report", "--orders")[1]
    assert "mean of the steps" in command("report", "CMD-2")[1]
    assert command("report", "CMD-9")[0] == 1


@pytest.mark.parametrize(
    "unused", [["CMD-0", "--orders"], ["CMD-0", "--since", "1h"], ["CMD-0", "--limit", "1"], ["--limit", "1"]]
)
def test_an_argument_that_would_do_nothing_is_refused(command: Any, told: Stream, unused: list[str]) -> None:
    code, out, err = command("report", *unused)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert unused[-2 if len(unused) > 2 else 0 if unused[0] == "--limit" else 1] in err


def test_a_formula_in_a_spreadsheet_is_text(command: Any, stream: Stream) -> None:
    stream.publish("=1+1", HELD)
    assert next(csv.DictReader(io.StringIO(command("report", "--orders", "--csv")[1])))["commande_id"] == "'=1+1"


def test_a_report_since_a_time_is_of_the_orders_begun_since(command: Any, told: Stream) -> None:
    told.publish("LATER", HELD, START + dt.timedelta(hours=1))
    later = json.loads(command("report", "--json", "--since", "2024-11-22T19:00")[1])
    assert (later["sagas"]["total"], later["sagas"]["running"], later["sagas"]["stuck"]) == (1, 1, 1)
    assert later["duration_ms"]["count"] == 0
    assert later["steps"]["stock"]["p50_ms"] == 100
    assert later["ignored"] is None
    whole = json.loads(command("report", "--json")[1])
    since_ever = json.loads(command("report", "--json", "--since", "2024-01-01")[1])
    for same in ("sagas", "outcomes", "duration_ms", "steps", "events", "retries", "dead_letters"):
        assert since_ever[same] == whole[same]
    figures = dict(csv.reader(io.StringIO(command("report", "--csv")[1])))
    assert figures["sagas.total"] == "8"
    assert figures["outcomes.succeeded_percent"] == "12.5"


@pytest.mark.parametrize("shape", [[], ["--json"], ["--csv"]])
@pytest.mark.parametrize("more", [[], ["--orders"], ["--since", "7d"], ["--orders", "--since", "7d"]])
def test_a_report_of_nothing_divides_by_nothing(command: Any, shape: list[str], more: list[str]) -> None:
    code, _, err = command("report", *shape, *more)
    assert (code, err) == (0, "")


def test_a_locked_file_is_one_line(
    command: Any, told: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("list")
    monkeypatch.setattr("saga_monitor.projection.schema.BUSY_SECONDS", 0.05)
    with sqlite3.connect(tmp_path / "deep" / "monitor.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        told.publish("CMD-NEW", HELD)
        code, out, err = command("list")
        other.execute("ROLLBACK")
    other.close()
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "locked" in err


def test_a_file_that_is_no_file_is_one_line(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_MONITOR_DATABASE", "/dev/null")
    code, out, err = command("list")
    assert (code, out) == (2, "")
    assert err.startswith("saga_monitor: /dev/null: not a file")


def test_a_lock_that_cannot_be_opened_is_one_line(command: Any, tmp_path: Path) -> None:
    (tmp_path / "deep" / "monitor.sqlite3.lock").mkdir(parents=True)
    code, out, err = command("list")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "monitor.sqlite3.lock: Is a directory" in err


def test_a_spreadsheet_of_no_orders_has_its_header(command: Any, stream: Stream) -> None:
    empty = command("report", "--orders", "--csv")[1].splitlines()
    stream.publish("CMD-1", HELD)
    assert empty == command("report", "--orders", "--csv")[1].splitlines()[:1]
    assert empty == command("report", "CMD-1", "--csv")[1].splitlines()[:1]


@pytest.mark.parametrize("days", [3, -3])
def test_a_wrong_clock_moves_no_event_in_time(command: Any, stream: Stream, days: int) -> None:
    wrong = dt.timedelta(days=days) // dt.timedelta(milliseconds=1)
    lines = [replace(line, ms=line.ms + wrong) if line.type == "paiement.effectue" else line for line in CONFIRMED]
    stream.publish("CMD-OLD", CONFIRMED, START - dt.timedelta(hours=1))
    stream.publish("CMD-1", lines)
    later, earlier = (START + dt.timedelta(minutes=side) for side in (1, -1))
    shown = json.loads(command("show", "CMD-1", "--at", later.isoformat(), "--json")[1])
    assert (shown["state"], len(shown["events"])) == ("COMPLETED", len(CONFIRMED))
    assert command("show", "CMD-1", "--at", earlier.isoformat())[0] == 1
    told = [
        json.loads(line) for line in command("history", "--since", START.isoformat(), "--json")[1].splitlines()
    ]
    assert [one["event"]["type"] for one in told] == [line.type for line in lines]
    assert {one["event"]["subject"] for one in told} == {"CMD-1"}


def test_days_have_names_in_every_argument_that_is_a_time(command: Any, stream: Stream) -> None:
    now = dt.datetime.now(dt.UTC)
    stream.publish("CMD-OLD", CONFIRMED, now - dt.timedelta(days=3))
    stream.publish("CMD-NEW", CONFIRMED, now - dt.timedelta(seconds=5))
    assert "CMD-OLD" in (listed := command("list", "--at", "yesterday")[1])
    assert "CMD-NEW" not in listed
    for arguments in (["report", "--orders", "--since", "yesterday"], ["history", "--since", "Yesterday"]):
        assert "CMD-NEW" in (told := command(*arguments)[1])
        assert "CMD-OLD" not in told
