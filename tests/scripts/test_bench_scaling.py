"""What a rate needs, by arithmetic, and the queueing model that shows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scripts.benchmarks import scaling
from scripts.benchmarks.queueing import Plant, simulate
from scripts.cli_parser import Parser

RATE, SECONDS, SEED = 4000.0, 0.5, 1
# Commande is the narrowest, so that its first event of an order may wait while the others go on.
WORKERS = {"stock": 6, "paiement": 6, "commande": 2, "notification": 4}
ONE_INBOX = Plant(WORKERS, dict.fromkeys(WORKERS, 1), 3, 8, delivery_seconds=180e-6, broker_seconds=300e-6)
PARTITIONED = replace(ONE_INBOX, partitions=WORKERS)


def test_the_arithmetic_is_that_of_the_page() -> None:
    needed = scaling.needs(10_000, node_cores=8)
    assert (needed["service_cores"], needed["broker_cores"], needed["nodes"]) == (18.1, 35.8, 5)
    assert needed["workers"] == {"stock": 7, "paiement": 4, "commande": 7, "notification": 4}
    assert (needed["events_per_second"], needed["monitors"]) == (50_000, 7)


def test_a_small_rate_needs_three_nodes_for_the_replicas() -> None:
    assert scaling.needs(10, node_cores=8)["nodes"] == 3


def test_a_partition_with_one_worker_keeps_the_order_of_a_key_and_competing_workers_do_not() -> None:
    assert simulate(ONE_INBOX, RATE, SECONDS, SEED).overtaken > 0
    assert simulate(PARTITIONED, RATE, SECONDS, SEED).overtaken == 0


def test_a_seed_is_one_run() -> None:
    assert simulate(ONE_INBOX, RATE, SECONDS, SEED) == simulate(ONE_INBOX, RATE, SECONDS, SEED)


def test_workers_that_are_too_few_leave_orders_behind() -> None:
    few = replace(ONE_INBOX, workers=WORKERS | {"notification": 1, "commande": 1})
    assert simulate(few, RATE, SECONDS, SEED).left > 3 * simulate(ONE_INBOX, RATE, SECONDS, SEED).left


def test_the_command_prints_figures_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser("bench", "")
    scaling.add(parser)
    assert scaling.run(parser.parse_args(["--rate", "500", "--seconds", "0.2", "--json"])) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["simulated"]) == {"one inbox a service", "partitioned inboxes"}


@pytest.mark.parametrize("option", ["--rate", "--seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many"])
def test_a_number_that_cannot_be_simulated_is_refused_in_one_line(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser("scaling", "")
    scaling.add(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([option, value])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
