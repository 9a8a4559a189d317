"""Many runs with every kind of fault, and nothing is wrong with any of them."""

from collections import Counter

from services.simulation import Books, plan, walk
from services.simulation.chance import Fault

RUNS = 120
ORDERS = 8
# Each broke an invariant once, or a guard of the simulation itself.
REGRESSIONS = ((161, 12), (17, 12), (133, 12), (153, 12))


def test_every_invariant_holds(books: Books) -> None:
    faults: Counter[Fault] = Counter()
    for seed in range(RUNS):
        outcome = walk(plan(seed, ORDERS), books)
        assert outcome.found == (), f"seed {seed}"
        faults += outcome.faults
    assert {fault for fault in Fault if not faults[fault]} == set(), "some faults never struck"


def test_what_broke_once_holds(books: Books) -> None:
    for seed, orders in REGRESSIONS:
        assert walk(plan(seed, orders), books).found == (), f"seed {seed}"


def test_orders_of_every_end_are_among_them(books: Books) -> None:
    ends: Counter[str] = Counter()
    for seed in range(20):
        ends.update(row["etat"] for row in walk(plan(seed, ORDERS), books).facts.orders.values())
    assert ends.keys() == {"creee", "annulee"}
    assert min(ends.values()) > 20
