"""The comparison of both wirings counts what it says: each measure on small inputs, the shortest one for real."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from scripts.benchmarks.system import kills
from scripts.comparison import (
    claims,
    compensation,
    diagnosis,
    document,
    evolution,
    exchanged,
    structure,
    tables,
)
from scripts.comparison.diagnosis import Wanted
from scripts.comparison.evolution import FileChange
from scripts.comparison.faults import FAULTS
from scripts.comparison.wirings import WIRINGS

PUBLISHED = json.loads(document.FIGURES.read_text())


def claimed(aspect: str) -> claims.Claim:
    return next(one for one in claims.CLAIMS if one.aspect == aspect)


def test_messages_are_the_means_of_the_chosen_orders_with_what_the_client_says() -> None:
    rows = [("outbox", "A"), ("outbox", "A"), ("inbox", "A"), ("outbox", "B"), ("inbox", "B"), ("inbox", "other")]
    assert exchanged.summary(rows, {"A", "B"}) == {"publishes": 2.5, "deliveries": 1.0}


def test_an_undoing_takes_from_the_decision_to_the_last_of_its_answers() -> None:
    undone = [{"A": 10.2, "B": 11.0}, {"A": 10.5}]
    found = compensation.summary({"A": 9, "B": 9}, {"A": 10.0, "B": 10.0}, undone)
    assert found == {"orders": 2, "missing": 1, "p50": 500.0, "p99": 500.0}


def test_orders_that_take_longer_than_a_second_have_stalled() -> None:
    due = {"before": 0.0, "away": 5.0, "through": 5.5, "lost": 6.0, "after": 9.0}
    at = {"before": 0.1, "away": 9.0, "through": 5.6, "after": 9.1}
    assert kills.summary(due, at, killed=4.0, started=7.0) == {
        "orders": 5,
        "stalled": 2,
        "lost": 1,
        "due_meanwhile": 3,
        "created_meanwhile": 1,
        "recovery_seconds": 2.0,
    }


def test_a_kill_that_nobody_notices_needs_no_recovery() -> None:
    found = kills.summary({"A": 5.0}, {"A": 5.1}, killed=4.0, started=6.0)
    assert (found["stalled"], found["recovery_seconds"], found["created_meanwhile"]) == (0, 0, 1)


def test_a_change_counts_the_lines_outside_its_own_service_and_the_services_it_changes() -> None:
    numstat = "9\t0\tservices/fraude/rules.py\n5\t0\tcontracts/fraude.py\n3\t1\tservices/stock/store.py\n"
    changes = evolution.read(numstat + "2\t0\tservices/application.py\n")
    assert evolution.summary(changes, "fraude") == {
        "new_lines": 14,
        "lines_elsewhere": 6,
        "files_elsewhere": 2,
        "services": ["stock"],
    }


def test_a_line_of_numstat_is_a_file_with_its_lines() -> None:
    assert [*evolution.read("10\t5\tcontracts/choreography.py\n")] == [
        FileChange("contracts/choreography.py", 10, 5)
    ]


@pytest.mark.parametrize("wiring", [one.name for one in WIRINGS])
@pytest.mark.parametrize("change", evolution.ADDED)
def test_each_change_fits_the_tree_and_the_saga_still_holds(change: str, wiring: str) -> None:
    found = evolution.measure(change, wiring)
    assert found["new_lines"] > 0
    assert found["lines_elsewhere"] > 0


def test_each_service_knows_the_programs_that_it_hears_but_not_itself() -> None:
    heard = [("stock", "client"), ("stock", "commande"), ("stock", "commande"), ("commande", "commande")]
    assert structure.known(heard) == {"stock": 2, "commande": 0}


def test_both_wirings_of_the_order_saga_hold() -> None:
    assert all(one["holds"] for one in structure.measure().values())


WANTED = Wanted("stock", "stock.reserve", "no_consumer")


@pytest.mark.parametrize(
    ("outputs", "named"),
    [
        (["no_consumer: start stock", "stock.reserve waits"], True),
        (["no_consumer at stock.reserve"], False),
        (["stock, stock.reserve"], False),
        (["no_consumer", "stock: stock.reserve"], False),
        (["no_consumer: stock, after stock.reserve_2"], False),
    ],
)
def test_a_fault_is_named_by_cause_and_service_together_and_its_message(outputs: list[str], named: bool) -> None:
    assert diagnosis.named(outputs, WANTED) is named


def test_what_is_read_is_counted_in_commands_and_lines_with_text() -> None:
    found = diagnosis.summary(["one\n\ntwo\n", "no_consumer: stock\nstock.reserve\n"], WANTED)
    assert (found["commands"], found["lines"], found["named"]) == (2, 4, True)


def test_there_are_ten_faults_for_both_wirings() -> None:
    assert len({fault.name for fault in FAULTS}) == 10
    for fault in FAULTS:
        assert fault.services.keys() == fault.messages.keys() == {one.name for one in WIRINGS}


@pytest.mark.parametrize(
    ("aspect", "choreography", "orchestration", "verdict"),
    [
        ("performance, latency", 10, 20, "holds"),
        ("performance, latency", 20, 10, "does not hold: better with orchestration"),
        ("performance, latency", 100, 109, "does not hold: equal within 10 %"),
        ("performance, throughput", 20, 10, "holds"),
        ("performance, throughput", 10, 20, "does not hold: better with orchestration"),
        ("debugging", 20, 10, "holds"),
        ("debugging", 0, 0, "does not hold: equal within 10 %"),
    ],
)
def test_a_claim_holds_when_the_praised_wiring_is_better_by_more_than_a_tenth(
    aspect: str, choreography: float, orchestration: float, verdict: str
) -> None:
    assert claims.verdict(claimed(aspect), choreography, orchestration) == verdict


def test_every_claim_is_measured_from_the_published_figures() -> None:
    head, *rows = claims.rows(PUBLISHED)
    assert [row[0] for row in rows] == [one.aspect for one in claims.CLAIMS]
    assert all(len(row) == len(head) for row in rows)


def test_another_figure_makes_another_table() -> None:
    figures: dict[str, Any] = copy.deepcopy(PUBLISHED)
    for one in figures["rounds"]:
        one["messages"]["created"]["publishes"] = 4711
    assert ["publishes an order that is created", "4711", "4711"] in [*tables.load_rows(figures)]


def test_rows_become_a_markdown_table() -> None:
    assert document.markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
