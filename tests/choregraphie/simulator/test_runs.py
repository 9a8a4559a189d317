"""Many runs with every kind of fault have no violation."""

from collections import Counter

import pytest

from choregraphie.simulator import Databases, run_plan
from choregraphie.simulator.randomness import Fault
from services.scenario import plan

RUNS = 120
ORDERS = 8
REGRESSIONS = (
    # A forged order, dead-lettered after a crash loop and redriven by an operator, was carried out.
    (35, 40),
    # Of two orders under one id, the stock held one and the decider recorded the other: created, and wrongly paid.
    (111, 30),
    # A run counted as over while the deadline of an order was running that the decider had not heard itself.
    (35, 150),
)


def test_every_invariant_holds(databases: Databases) -> None:
    faults: Counter[Fault] = Counter()
    for seed in range(RUNS):
        outcome = run_plan(plan(seed, ORDERS), databases)
        assert outcome.found == (), f"seed {seed}"
        faults += outcome.faults
    assert {fault for fault in Fault if not faults[fault]} == set(), "some faults never occurred"


@pytest.mark.parametrize(("seed", "orders"), REGRESSIONS)
def test_a_former_violation_does_not_come_back(seed: int, orders: int, databases: Databases) -> None:
    assert run_plan(plan(seed, orders), databases).found == ()


def test_the_runs_contain_orders_of_every_outcome(databases: Databases) -> None:
    ends: Counter[str] = Counter()
    for seed in range(20):
        ends.update(row["etat"] for row in run_plan(plan(seed, ORDERS), databases).final_state.orders.values())
    assert ends.keys() == {"creee", "annulee"}
    assert min(ends.values()) > 20
