"""Each service's store as a state machine: whatever comes, in any order and again, its books add up."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import settings as bounds
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.notification.courrier import Courrier
from services.paiement import SERVICE as PAIEMENT
from services.paiement.passerelle import PasserelleSimulee
from services.runtime import Service, Settings, open_desk
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example

ORDERS = st.sampled_from(["A", "B", "C", "D"])


class Post(Courrier):
    """A carrier that keeps nothing."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


class Store(RuleBasedStateMachine):
    """Hears what its service hears, about a few orders; deliveries come again, and time passes."""

    service: Service
    outside: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.opened = open_desk(self.service, Settings(database_url="sqlite://", deadline=60), self.outside)
        self.desk = self.opened.__enter__()
        self.past: list[Any] = []

    @rule(order=ORDERS, which=st.integers(0, 10))
    def hears(self, order: str, which: int) -> None:
        lines = self.service.reactions
        line = lines[which % len(lines)]
        data = example(line.hears.TYPE)["data"] | {"commande_id": order}
        event = line.hears.model_validate_json(json.dumps(data))
        self.past.append(self.desk.delivery(event))
        self.desk.deliver(self.past[-1])

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
        most = 2 if self.service is NOTIFICATION else 1
        assert all(number <= most for number in said.values()), said

    @invariant()
    def the_books_add_up(self) -> None:
        self.add_up(self.desk.inspect())

    def add_up(self, books: dict[str, Any]) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)


class StockStore(Store):
    service = STOCK

    def add_up(self, books: dict[str, Any]) -> None:
        for shelf in books["produits"].values():
            assert shelf["initial"] == shelf["disponible"] + shelf["retenu"] + shelf["vendu"]
            assert min(shelf.values()) >= 0


class PaiementStore(Store):
    service = PAIEMENT

    def __init__(self) -> None:
        self.outside = PasserelleSimulee(0, 0, 0)
        super().__init__()

    def add_up(self, books: dict[str, Any]) -> None:
        moved = {name: Decimal(str(m["montant"])) for name, m in books["mouvements"].items()}
        spent = sum(Decimal(str(c["initial"])) - Decimal(str(c["solde"])) for c in books["comptes"].values())
        assert spent == moved["debits"] - moved["remboursements"] >= 0


class CommandeStore(Store):
    service = COMMANDE

    def add_up(self, books: dict[str, Any]) -> None:
        said = Counter(envelope.type for envelope in self.desk.envelopes)
        assert books["commandes"]["annulees"] == said["commande.annulee"]
        assert books["commandes"]["creees"] <= said["commande.creee"]


class NotificationStore(Store):
    service = NOTIFICATION
    outside = Post()

    def add_up(self, books: dict[str, Any]) -> None:
        said = Counter(dict(envelope.data)["modele"] for envelope in self.desk.envelopes)
        assert {name: number for name, number in books["messages"].items() if number} == said


TestStock = StockStore.TestCase
TestPaiement = PaiementStore.TestCase
TestCommande = CommandeStore.TestCase
TestNotification = NotificationStore.TestCase
for case in (TestStock, TestPaiement, TestCommande, TestNotification):
    case.settings = bounds(max_examples=25, stateful_step_count=20)
del case  # pytest would collect it under this name too
