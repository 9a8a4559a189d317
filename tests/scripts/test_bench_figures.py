"""The arithmetic of the benchmarks of the whole system, and what its options accept."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks.system import budget, contenders, options, report
from scripts.benchmarks.system.figures import Spread, capacity, cpu_us, percentile, rate, ratios
from scripts.benchmarks.system.latency import summary
from scripts.benchmarks.system.load import BLOCKED, bodies
from scripts.benchmarks.system.open_loop import Times, key_of, latencies
from tests.scripts.conftest import ROOT, environ


def measured(turn: int, contender: str, orders_per_second: float, **cpu: float) -> dict[str, Any]:
    cpu = cpu or {"stock": 100, "broker": 300}
    return {
        "turn": turn,
        "contender": contender,
        "orders_per_second": orders_per_second,
        "cpu_us_per_order": cpu,
        "memory_mb": {"stock": 50.0},
        "ready_seconds": {"stock": 0.5},
    }


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.01) == 7


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.01)])
def test_a_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile(values, share)


def test_a_spread_names_the_ends_and_the_middle() -> None:
    assert Spread.of([3, 1, 2, 10]) == Spread(1, 2.5, 10)
    assert Spread.of([1234.5, 2]).text(1) == "2.0 – 618.2 – 1 234.5"
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_a_ratio_is_taken_within_a_turn_over_the_best_of_the_others() -> None:
    rounds = [
        *(measured(0, "ours", 100), measured(0, "a", 50), measured(0, "b", 20)),
        *(measured(1, "b", 30), measured(1, "a", 10), measured(1, "ours", 30)),
    ]
    assert ratios(rounds, "ours", ["a", "b"], rate) == Spread(1, 1.5, 2)


def test_a_turn_that_did_not_measure_all_of_them_gives_no_ratio() -> None:
    rounds = [measured(0, "ours", 100), measured(0, "a", 50), measured(1, "ours", 1)]
    assert ratios(rounds, "ours", ["a"], rate) == Spread(2, 2, 2)
    assert ratios(rounds, "ours", ["a", "b"], rate) is None
    assert ratios(rounds, "ours", [], rate) is None


def test_of_latencies_the_best_is_the_smallest() -> None:
    rounds = [measured(0, "ours", 4), measured(0, "a", 5), measured(0, "b", 8)]
    assert ratios(rounds, "ours", ["a", "b"], rate, min) == Spread(0.8, 0.8, 0.8)


def test_what_the_parts_leave_of_the_whole_is_everything_else() -> None:
    found = budget.lines_of({"frames": 10.0, "rows": 50.0, "whole": 100.0})
    assert found == {"frames": 10, "rows": 50, "else": 40, "whole": 100}


def test_the_budget_is_shown_line_by_line_beside_what_was_measured() -> None:
    us = {**dict.fromkeys(budget.BUDGET, 20.0), "whole": 120.0}
    figures = {"machine": {"load": 0.0}, "rounds": [{"turn": 0, "contender": "ours", "us": us}]}
    shown = " ".join(budget.text(figures, [contenders.ours(mail=False)]).split())
    assert "frames in 10 20 – 20 – 20" in shown
    assert "together 120 120 – 120 – 120" in shown


def test_each_turn_begins_with_another_contender() -> None:
    chosen = contenders.chosen(["faststream", "aio_pika", "relay"])
    order = [(turn, one.name) for turn, one in options.in_turns(chosen, 2)]
    assert order == [
        *((0, "faststream"), (0, "aio_pika"), (0, "relay")),
        *((1, "aio_pika"), (1, "relay"), (1, "faststream")),
    ]


def test_a_latency_runs_from_the_instant_at_which_the_order_was_due() -> None:
    found = latencies(due={"a": 1.0, "b": 1.1, "c": 1.2}, at={"a": 1.05, "b": 3.1, "another": 9.0}, now=6.2)
    assert [round(ms) for ms in found.ms] == [50, 2000, 5000]
    assert found.missing == 1


@pytest.mark.parametrize(("missing", "keeps_up"), [(0, True), (1, True), (2, False)])
def test_a_contender_keeps_up_while_no_more_than_one_order_in_a_hundred_is_missing(
    missing: int, keeps_up: bool
) -> None:
    found = summary(50, Times([float(n) for n in range(1, 101)], missing))
    assert found["keeps_up"] is keeps_up
    assert (found["p50"], found["p95"], found["p99"]) == (50, 95, 99)


def test_the_key_of_an_envelope_is_found_without_parsing_it() -> None:
    key, body = next(bodies())
    assert key_of(body) == key
    assert key_of(json.dumps({"args": [body.decode()]}).encode()) == key
    with pytest.raises(ValueError, match="no subject"):
        key_of(b'{"id":"1"}')


def test_the_capacity_is_what_two_cores_can_do_at_the_cpu_time_of_an_order() -> None:
    one = measured(0, "ours", 1, stock=400, broker=600)
    assert cpu_us(one) == 1000
    assert capacity(one) == 2000


def test_a_variant_is_ours_with_other_settings() -> None:
    found = contenders.variant("lean=SAGA_LANE=lean,SAGA_PREFETCH=500", mail=False)
    assert (found.name, found.engine) == ("lean", ROOT)
    assert found.environment == {"SAGA_LANE": "lean", "SAGA_PREFETCH": "500"}


@pytest.mark.parametrize(
    "text", ["lean", "=SAGA_LANE=lean", "lean=SAGA_LANE", "lean=SAGA_LANE=lean,", "lean==lean"]
)
def test_a_variant_without_name_or_setting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=KEY=VALUE"):
        contenders.variant(text, mail=False)


def test_a_baseline_is_the_engine_of_another_tree(tmp_path: Path) -> None:
    assert contenders.baseline(f"before={ROOT}", mail=False).name == "before"
    found = contenders.baseline(str(ROOT), mail=False)
    assert (found.name, found.engine) == ("baseline", ROOT)
    with pytest.raises(ValueError, match="not a tree of this project"):
        contenders.baseline(str(tmp_path), mail=False)


def test_the_report_compares_engines_with_the_best_peer_the_ceiling_and_the_first_engine() -> None:
    chosen = [
        *(contenders.ours(mail=False), contenders.variant("lean=SAGA_LANE=lean", mail=False)),
        *contenders.chosen(["faststream", "relay"]),
    ]
    rounds = [
        measured(turn, contender.name, rate)
        for turn, (contender, rate) in itertools.product(range(2), zip(chosen, (30, 60, 10, 120), strict=True))
    ]
    figures = {"rounds": rounds, "machine": {"load": 0.0}, "mail": "no e-mail on any side"}
    shown = " ".join(report.text(figures, chosen).split())
    for line in (
        "ours ÷ faststream 3.00",
        "lean ÷ faststream 6.00",
        "lean ÷ relay 0.50",
        "lean ÷ ours 2.00",
    ):
        assert line in shown
    assert "faststream: inbox" in shown


def test_ours_in_other_circumstances_is_compared_with_what_does_the_same_on_the_same_database() -> None:
    chosen = contenders.chosen([*contenders.NAMES])
    compared = {(over, shown) for over, _, shown in report.pairs(chosen)}
    assert {shown for over, shown in compared if over == "postgresql"} == {"asyncpg", "ours"}
    assert {shown for over, shown in compared if over == "two_workers"} == {"asyncpg", "postgresql"}
    assert {shown for over, shown in compared if over == "monitor"} == {"best peer", "relay", "ours"}
    assert {shown for over, shown in compared if over == "cancellations"} == {"ours"}


def test_a_part_that_only_some_contenders_have_is_a_column() -> None:
    chosen = contenders.chosen(["ours", "postgresql"])
    rounds = [measured(0, "ours", 100), measured(0, "postgresql", 50, stock=100, broker=300, postgresql=600)]
    figures = {"rounds": rounds, "machine": {"load": 0.0}, "mail": "no e-mail on any side"}
    shown = " ".join(report.text(figures, chosen).split())
    assert "stock broker postgresql together" in shown
    assert "ours 100 300 – 400 postgresql 100 300 600 1000" in shown
    assert "postgresql ÷ ours 0.50" in shown


def test_the_report_says_what_a_kill_did_and_how_far_the_monitor_was_behind() -> None:
    kill = {"service": "commande", "orders": 300, "stalled": 120, "lost": 0, "recovery_seconds": 1.5}
    kill |= {"due_meanwhile": 100, "created_meanwhile": 25}
    one = measured(0, "monitor", 100) | {"kill": kill, "monitor_behind_seconds": 0.25}
    figures = {"rounds": [one], "machine": {"load": 0.0}, "mail": "no e-mail on any side"}
    shown = " ".join(report.text(figures, contenders.chosen(["monitor"])).split())
    assert "monitor 300 – 300 – 300 120 – 120 – 120 0 – 0 – 0 0.25 – 0.25 – 0.25 1.50 – 1.50 – 1.50" in shown
    assert "monitor 0.25 – 0.25 – 0.25" in shown


@pytest.mark.parametrize("orders", [1, 3, 4, 10, 1234])
def test_of_the_first_orders_three_in_ten_are_refused(orders: int) -> None:
    share = contenders.REFUSED
    found = [body for _, body in itertools.islice(bodies(refused=share), orders)]
    assert sum(BLOCKED.encode() in body for body in found) == int(share * orders)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--variant=lean", "NAME=KEY=VALUE"),
        ("--baseline=/nowhere", "not a tree of this project"),
        ("--contenders=ours,dramatiq", "reach no exchange"),
        ("--contenders=ours,cancellations", "cancelled orders are not created"),
        ("--contenders=ours,nobody", "no contender 'nobody'"),
        ("--variant=ours=SAGA_LANE=lean", "two contenders are called ours"),
    ],
)
def test_a_mistake_in_the_options_is_one_line_and_exit_code_2(option: str, said: str) -> None:
    benchmark = "latency" if "dramatiq" in option or "cancellations" in option else "orders"
    command = [sys.executable, "scripts/bench", benchmark, option]
    ran = subprocess.run(command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=90, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
