"""The output of list, show and report: JSON for programs and tables for people."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choregraphie.terminal.formats import format_duration
from saga_monitor.console.instance_row import ELAPSED
from saga_monitor.projection.durations import Durations, rounded
from tests.saga_monitor.memory_stream import CONFIRMED, PAID, SCENARIOS, Line, Stream, event_bytes


@given(st.integers(0, 10**12))
def test_a_duration_fits_its_column(ms: int) -> None:
    assert len(format_duration(ms)) <= ELAPSED


def test_a_reason_that_nobody_knows_is_counted_as_other(stream: Stream, command: Any) -> None:
    """Anyone can write a header, but the totals have a fixed set of reasons."""
    stream.publish("CMD-1", PAID)
    for number in range(3):
        stream.set_aside("stock", event_bytes("CMD-1", PAID[0]), f"made up {number}")
    for since in ([], ["--since", "2024-01-01"]):
        assert json.loads(command("report", "--json", *since)[1])["dead_letters"] == {"other": 3}


def test_an_empty_history_is_reported_without_a_division(command: Any) -> None:
    code, out, err = command("report", "--json")
    assert (code, err) == (0, "")
    empty = json.loads(out)
    assert set(empty["sagas"].values()) == {0}
    none = {"mean": None, "p50": None, "p95": None, "p99": None, "max": None}
    assert empty["duration_ms"] == none | {"count": 0, "total": 0}
    assert empty["steps"]["stock"].items() >= {"count": 0, "mean_ms": None, "p95_ms": None}.items()
    assert empty["outcomes"]["succeeded_percent"] is None
    assert command("report")[0] == command("list")[0] == 0
    assert json.loads(command("list", "--json")[1]) == []


def test_the_report_counts_and_times_every_order(command: Any, stream: Stream) -> None:
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", lines)
    stream.publish("CMD-OPEN", PAID)
    whole = json.loads(command("report", "--json")[1])
    assert whole["sagas"] == {
        "total": 8,
        "new": 0,
        "running": 1,
        "completed": 1,
        "failed": 0,
        "compensating": 0,
        "compensated": 6,
        "stuck": whole["sagas"]["stuck"],
        "intervention": 0,
        "held": 0,
    }
    assert whole["compensations"] == 6
    assert whole["duration_ms"]["p50"] == 580
    assert whole["duration_ms"]["max"] == 900_080
    assert whole["steps"]["stock"].items() >= {"count": 8, "mean_ms": 100.0, "p95_ms": 100}.items()
    assert whole["outcomes"] == {
        "succeeded": 1,
        "succeeded_percent": 12.5,
        "failed": 6,
        "failed_percent": 75.0,
        "in_progress": 1,
        "in_progress_percent": 12.5,
    }


def test_one_order_is_shown_whole(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", PAID)
    stream.set_aside("commande", event_bytes("CMD-1", PAID[2]))
    shown = json.loads(command("show", "CMD-1", "--json")[1])
    assert (shown["commande_id"], shown["state"]) == ("CMD-1", "RUNNING")
    assert "INTERVENTION" in shown["flags"]
    assert shown["remaining"] == ["commande.creee", "notification.envoyee"]
    assert shown["steps"][1] == {"step": "paiement", "state": "done", "duration_ms": 200, "undoing_ms": None}
    assert shown["events"][1] == {
        "id": "CMD-1/stock.reserve",
        "type": "stock.reserve",
        "source": "/services/stock",
        "time": "2024-11-22T18:47:00.100Z",
        "causationid": "CMD-1/commande.initiee",
        "offset": 1,
        "note": None,
    }
    table = command("show", "CMD-1")[1]
    assert "remaining: commande.creee, notification.envoyee" in table
    assert "every try failed" in table


def test_an_unknown_order_is_one_line(command: Any) -> None:
    code, out, err = command("show", "CMD-\x1b[2J")
    assert (code, out) == (1, "")
    assert err == "saga_monitor: no order CMD-\\x1b[2J in the history\n"


def test_the_list_is_filtered_and_limited(command: Any, stream: Stream) -> None:
    for number, lines in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", lines)
    stream.publish("CMD-TWICE", [*CONFIRMED, Line("commande.initiee", id="again")])
    listed = [order["commande_id"] for order in json.loads(command("list", "--json", "--limit", "2")[1])]
    assert listed == ["CMD-TWICE", "CMD-6"]
    completed = json.loads(command("list", "--json", "--state", "completed")[1])
    assert [order["commande_id"] for order in completed] == ["CMD-TWICE", "CMD-0"]
    flagged = json.loads(command("list", "--json", "--state", "REPEATED_START")[1])
    assert [order["flags"] for order in flagged] == [["REPEATED_START"]]
    assert "2 of 8 orders" in command("list", "--limit", "2")[1]


def test_with_the_broker_away_what_was_known_is_still_told(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", CONFIRMED)
    assert command("list")[0] == 0
    stream.away = True
    code, out, err = command("show", "CMD-1", "--json")
    assert (code, json.loads(out)["state"], json.loads(out)["fresh"]) == (1, "COMPLETED", False)
    assert "broker away" in err
    assert "what follows was true at" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SAGA_AMQP_URL", "http://nowhere"),
        ("SAGA_STUCK_AFTR", "3"),
        ("SAGA_MONITOR_DATABASE", "/dev/null/monitor.sqlite3"),
        ("SAGA_MONITOR_DATABASE", "/"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_2(
    command: Any, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv(key, value)
    code, out, err = command("report")
    assert (code, out, len(err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"], ["show", "--help"], ["report", "--help"]])
def test_help_explains(command: Any, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command(*arguments)
    assert left.value.code == 0


@pytest.mark.parametrize("arguments", [["list", "--limit", "0"], ["list", "--state", "ODD"], ["show"], ["dance"]])
def test_a_bad_argument_is_exit_2(command: Any, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command(*arguments)
    assert left.value.code == 2


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_bounds_its_share(values: list[int], hundredths: int) -> None:
    kept = Counter(map(rounded, values))
    found = Durations(kept).percentile(hundredths)
    assert found in kept
    assert found is not None
    assert sum(count for value, count in kept.items() if value <= found) * 100 >= hundredths * len(values)
    assert all(abs(rounded(value) - value) <= value * 5e-5 for value in values)


def test_durations_are_said_as_people_say_them() -> None:
    assert [format_duration(ms) for ms in (None, 0, 420, 1500, 192_000, 7_500_000, 273_600_000)] == [
        "–",
        "0 ms",
        "420 ms",
        "1.5 s",
        "3m 12s",
        "2h 05m",
        "3d 4h",
    ]


def test_a_report_on_one_order_says_in_words_why_a_message_was_set_aside(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", PAID)
    stream.set_aside("commande", event_bytes("CMD-1", PAID[2]))
    for arguments in (["report", "CMD-1"], ["report", "--orders"]):
        assert "commande: every try failed" in command(*arguments)[1]
    assert json.loads(command("report", "CMD-1", "--json")[1])["error"] == "commande: exhausted"
    whole = command("report")[1]
    assert "1             every try failed" in whole
    assert "exhausted" not in whole


def test_what_a_time_measures_is_said(command: Any, stream: Stream) -> None:
    stream.publish("CMD-CREATED", CONFIRMED)
    stream.publish("CMD-CANCELLED", SCENARIOS["cancelled after creation"])
    stream.publish("CMD-SHORT", SCENARIOS["refused by stock"])
    assert "completed in 350 ms · retries 0" in command("show", "CMD-CREATED")[1]
    cancelled = command("show", "CMD-CANCELLED")[1]
    assert "after it began, " in cancelled
    assert "after its cancellation · retries 0" in cancelled
    short = command("show", "CMD-SHORT")[1]
    assert "skipped" in short
    assert "answered the cancellation in" in short
    assert "undone in" not in short
    assert "to its completion" in command("report", "CMD-CREATED")[1]
    assert "to the last answer to its cancellation" in command("report", "CMD-CANCELLED")[1]
    assert "took: from the beginning to the completion; of a cancelled order" in command("list")[1]


def test_demands_to_cancel_are_not_counted_among_the_orders_of_a_list(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", PAID)
    stream.publish("CMD-NEVER", [Line("commande.annulation_demandee")])
    assert "1 of 1 orders · apart from them 1 cancelled, never begun" in command("list")[1]
    assert "0 of 1 orders · apart from them 1 of 1 cancelled" in command("list", "--state", "UNKNOWN")[1]
