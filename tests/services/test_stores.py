"""Each service's store as a state machine: whatever comes, in any order and again, its books add up."""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase
from hypothesis import settings as bounds
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.notification.courrier import Courrier
from services.paiement import SERVICE as PAIEMENT
from services.paiement.passerelle import PasserelleSimulee
from services.runtime import Service, Settings, open_desk
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example
from tests.simulation.mutants import MUTANTS

ORDERS = st.sampled_from(["A", "B", "C", "D"])


class Post(Courrier):
    """A carrier that keeps nothing."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


class Store(RuleBasedStateMachine):
    """Hears what its service hears, about a few orders; deliveries come again, and time passes."""

    service: Service
    most_of_a_kind = 1

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.opened = open_desk(self.service, Settings(database_url=database_url, deadline=60), self.outside())
        self.desk = self.opened.__enter__()
        self.past: list[Any] = []
        self.heard: dict[str, set[str]] = {}

    def outside(self) -> Any:
        return None

    @rule(order=ORDERS, which=st.integers(0, 10))
    def hears(self, order: str, which: int) -> None:
        lines = self.service.reactions
        type_ = lines[which % len(lines)].hears.TYPE
        data = example(type_)["data"] | {"commande_id": order}
        event = lines[which % len(lines)].hears.model_validate_json(json.dumps(data))
        self.past.append(self.desk.delivery(event))
        self.desk.deliver(self.past[-1])
        self.heard.setdefault(type_, set()).add(order)

    @rule(which=st.integers(0, 50))
    def hears_again(self, which: int) -> None:
        if self.past:
            assert self.desk.deliver(self.past[which % len(self.past)]) == []

    @rule(seconds=st.sampled_from([1, 90]))
    def time_passes(self, seconds: int) -> None:
        self.desk.tick(seconds)

    @invariant()
    def nothing_is_said_twice(self) -> None:
        said = Counter((envelope.type, envelope.commande_id) for envelope in self.desk.envelopes)
        assert all(number <= self.most_of_a_kind for number in said.values()), said

    @invariant()
    def the_books_add_up(self) -> None:
        self.add_up(self.desk.inspect())

    def add_up(self, books: dict[str, Any]) -> None:
        raise NotImplementedError

    def kept(self, cause: str) -> int:
        """Of how many orders that were begun by `cause` nothing has been undone: no cancellation came, ever."""
        return len(self.heard.get(cause, set()) - self.heard.get("commande.annulee", set()))

    def answered(self, undone: str) -> None:
        """Every cancellation heard has its one answer, whether there was something to undo or not."""
        answers = {envelope.commande_id for envelope in self.desk.envelopes if envelope.type == undone}
        assert answers == self.heard.get("commande.annulee", set())

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)


class StockStore(Store):
    service = STOCK

    def add_up(self, books: dict[str, Any]) -> None:
        for shelf in books["produits"].values():
            assert shelf["initial"] == shelf["disponible"] + shelf["retenu"] + shelf["vendu"]
            assert min(shelf.values()) >= 0
        taken = sum(shelf["retenu"] + shelf["vendu"] for shelf in books["produits"].values())
        assert taken == example("commande.initiee")["data"]["quantite"] * self.kept("commande.initiee")
        self.answered("stock.libere")


class PaiementStore(Store):
    service = PAIEMENT

    def outside(self) -> PasserelleSimulee:
        return PasserelleSimulee(0, 0, 0)

    def add_up(self, books: dict[str, Any]) -> None:
        moved = {name: Decimal(str(m["montant"])) for name, m in books["mouvements"].items()}
        spent = sum(Decimal(str(c["initial"])) - Decimal(str(c["solde"])) for c in books["comptes"].values())
        price = Decimal(str(example("stock.reserve")["data"]["montant"]))
        assert spent == moved["debits"] - moved["remboursements"] == price * self.kept("stock.reserve")
        self.answered("paiement.rembourse")


class CommandeStore(Store):
    service = COMMANDE

    def add_up(self, books: dict[str, Any]) -> None:
        said = Counter(envelope.type for envelope in self.desk.envelopes)
        assert books["commandes"]["annulees"] == said["commande.annulee"]
        assert books["commandes"]["creees"] <= said["commande.creee"]
        assert books["commandes"]["total"] == len(self.heard.get("commande.initiee", set()))


class NotificationStore(Store):
    service = NOTIFICATION
    most_of_a_kind = 2

    def outside(self) -> Post:
        return Post()

    def add_up(self, books: dict[str, Any]) -> None:
        said = Counter(dict(envelope.data)["modele"] for envelope in self.desk.envelopes)
        assert {name: number for name, number in books["messages"].items() if number} == said


STORES: tuple[type[Store], ...] = (StockStore, PaiementStore, CommandeStore, NotificationStore)


def play(store: type[Store], empty: Callable[[], str], **bounded: Any) -> None:
    """Each run on a database of its own, whose URL is given by `empty`."""

    class Fresh(store):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(empty())

    run_state_machine_as_test(Fresh, settings=bounds(**{"max_examples": 25, "stateful_step_count": 20} | bounded))


@pytest.mark.parametrize("store", STORES)
def test_whatever_comes_the_books_add_up(store: type[Store]) -> None:
    play(store, lambda: "sqlite://")


@pytest.mark.parametrize("store", STORES)
def test_whatever_comes_the_books_add_up_on_postgresql(store: type[Store], postgres: Any) -> None:
    def empty() -> str:
        name = f"store_{uuid.uuid4().hex[:12]}"
        postgres.create(name)
        return str(postgres.url(name))

    play(store, empty, max_examples=10)


@pytest.mark.parametrize(
    ("mutant", "store"),
    [
        ("no_tombstone", StockStore),
        ("no_compare_and_set", CommandeStore),
        ("silent_when_nothing_to_undo", StockStore),
    ],
)
def test_a_guard_taken_away_is_missed(mutant: str, store: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)
    with pytest.raises(AssertionError):
        # What breaks it need not be small.
        play(store, lambda: "sqlite://", max_examples=200, phases=[Phase.generate])
