"""Each service's store as a state machine: its invariants hold for events in any order and repeated."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import settings as bounds
from hypothesis.stateful import run_state_machine_as_test

from choregraphie import ReadView
from scripts.nemesis import mutants as chaos
from services.paiement import rules as paiement_rules
from services.stock import rules as stock_rules
from tests.choregraphie.simulator.mutants import MUTANTS
from tests.services.stores import STORES, CommandeStore, NotificationStore, PaiementStore, StockStore, Store


def play(store: type[Store], empty: Callable[[], str], **bounded: Any) -> None:
    """Run each example on a database of its own, whose URL `empty` returns."""

    fresh = type(store.__name__, (store,), {"__init__": lambda self: store.__init__(self, empty())})
    run_state_machine_as_test(fresh, settings=bounds(**{"max_examples": 25, "stateful_step_count": 20} | bounded))


@pytest.mark.parametrize("store", STORES)
def test_the_invariants_hold(store: type[Store]) -> None:
    play(store, lambda: "sqlite://")


@pytest.mark.parametrize("store", STORES)
def test_the_invariants_hold_on_postgresql(store: type[Store], postgres: Any) -> None:
    def empty() -> str:
        name = f"store_{uuid.uuid4().hex[:12]}"
        postgres.create(name)
        return str(postgres.url(name))

    play(store, empty, max_examples=10)


def always_enough(patch: pytest.MonkeyPatch) -> None:
    """A mutant that does not check the available quantity."""
    patch.setattr(stock_rules, "manque", lambda quantite, disponible: None if disponible else "produit inconnu")
    patch.setattr(paiement_rules, "refus", lambda montant, solde: None if solde else "client inconnu")


def never_confirmed(patch: pytest.MonkeyPatch) -> None:
    """A mutant in which a cancellation does not know of the confirmation before it."""
    patch.setattr(ReadView, "begun", lambda self, action: False)


def on_chaos(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: chaos.MUTANTS[name](patch.setattr)


@pytest.mark.parametrize(
    ("mutant", "stores"),
    [
        (MUTANTS["no_tombstone"], (StockStore, PaiementStore, NotificationStore)),
        (MUTANTS["no_compare_and_set"], (CommandeStore,)),
        (MUTANTS["silent_when_nothing_to_undo"], (StockStore,)),
        (on_chaos("silent_undoing"), (StockStore, PaiementStore)),
        (on_chaos("inbox_off"), STORES),
        (always_enough, (StockStore, PaiementStore)),
        (never_confirmed, (NotificationStore,)),
    ],
)
def test_a_removed_guard_is_detected(
    mutant: Callable[[pytest.MonkeyPatch], None], stores: tuple[type[Store], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for store in stores:
        with pytest.raises(AssertionError):
            # The failing example need not be minimal.
            play(store, lambda: "sqlite://", max_examples=200, phases=[Phase.generate], report_multiple_bugs=False)
