"""Each service's store as a state machine that checks every answer and the sums of the business state."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from choregraphie import Service, Settings
from choregraphie.errors import Reason
from choregraphie.service.verdict import DeadLetter
from choregraphie.testing import open_harness
from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.notification.courrier import Courrier
from services.paiement import SERVICE as PAIEMENT
from services.paiement.passerelle import PasserelleSimulee
from services.stock import SERVICE as STOCK
from tests.contracts.examples import example

ORDERS = st.sampled_from(["A", "B", "C", "D", "E", "F"])
# In `scarce.toml` some products run out, and some do not exist.
SCARCE = Path(__file__).with_name("scarce.toml")
PRODUCTS = st.sampled_from(["PROD-456", "PROD-456", "PROD-789", "PROD-000"])
CLIENTS = st.sampled_from(["CLIENT-123", "CLIENT-123", "CLIENT-456", "CLIENT-666", "CLIENT-999", "CLIENT-000"])
AMOUNTS = st.sampled_from(["5.00", "9.99", "25.00"])
CONTENTS = st.fixed_dictionaries(
    {"produit_id": PRODUCTS, "client_id": CLIENTS, "quantite": st.integers(1, 3), "montant": AMOUNTS}
)


class NullCourrier(Courrier):
    """A carrier that drops every mail."""

    async def envoyer(self, cle: str, commande_id: str, objet: str, texte: str) -> str:
        return f"{commande_id}@clients.invalid"


class Store(RuleBasedStateMachine):
    """The service hears events of a few orders, some again; event ids are reused, and time passes."""

    service: Service
    most_of_a_kind = 1

    def __init__(self, database_url: str) -> None:
        super().__init__()
        settings = Settings(database_url=database_url, deadline=60, catalogue=SCARCE)
        self.opened = open_harness(self.service, settings, self.externals())
        self.harness = self.opened.__enter__()
        self.past: list[Any] = []
        self.heard: dict[str, set[str]] = {}
        self.state = self.harness.inspect()

    def externals(self) -> Any:
        return None

    @rule(order=ORDERS, which=st.integers(0, 10), content=CONTENTS)
    def hears(self, order: str, which: int, content: dict[str, Any]) -> None:
        hears = self.service.reactions[which % len(self.service.reactions)].hears[0]
        data = example(hears.TYPE)["data"]
        data |= {name: value for name, value in content.items() if name in data} | {"commande_id": order}
        data |= {"montant": float(data["montant"])} if "montant" in data else {}
        event = hears.model_validate_json(json.dumps(data))
        before = self.state
        self.past.append(self.harness.delivery(event))
        self.said_in_answer(event, before, [said.TYPE for said in self.harness.deliver(self.past[-1])])
        self.heard.setdefault(hears.TYPE, set()).add(order)

    @rule(which=st.integers(0, 50))
    def hears_again(self, which: int) -> None:
        if self.past:
            assert self.harness.deliver(self.past[which % len(self.past)]) == []

    @rule(which=st.integers(0, 50))
    def hears_an_id_again_with_another_body(self, which: int) -> None:
        if not self.past:
            return
        known = self.past[which % len(self.past)]
        content = json.loads(known.body)
        content["data"]["commande_id"] = content["subject"] = content["correlationid"] = "Z"
        assert self.harness.deliver(known._replace(body=json.dumps(content).encode())) == []
        verdict = self.harness.verdicts[-1]
        assert isinstance(verdict, DeadLetter) and verdict.reason is Reason.ID_COLLISION, verdict

    @rule(seconds=st.sampled_from([1, 90]))
    def time_passes(self, seconds: int) -> None:
        self.harness.tick(seconds)

    @invariant()
    def nothing_is_published_twice(self) -> None:
        said = Counter((envelope.type, envelope.key) for envelope in self.harness.envelopes)
        assert all(number <= self.most_of_a_kind for number in said.values()), said

    @invariant()
    def invariants_hold(self) -> None:
        self.state = self.harness.inspect()
        self.check_sums(self.state)

    def check_sums(self, state: dict[str, Any]) -> None:
        """Check the invariants of the business state; each store has its own."""
        raise NotImplementedError

    def said_in_answer(self, heard: Any, before: dict[str, Any], said: list[str]) -> None:
        """Check the answer against the business state before the event."""

    def is_new(self, heard: Any) -> bool:
        """Whether the event was not heard of this order before, and the order is not cancelled."""
        return not {heard.TYPE, "commande.annulee"} & {
            t for t, orders in self.heard.items() if heard.commande_id in orders
        }

    def standing(self, type_: str) -> list[Any]:
        """The events of that type that were published about orders that were never cancelled."""
        cancelled = self.heard.get("commande.annulee", set())
        return [e.data for e in self.harness.envelopes if e.type == type_ and e.key not in cancelled]

    def answered(self, undone: str) -> None:
        """Check that each cancellation has one answer, whether there was something to undo or not."""
        answers = {envelope.key for envelope in self.harness.envelopes if envelope.type == undone}
        assert answers == self.heard.get("commande.annulee", set())

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)


class StockStore(Store):
    service = STOCK

    def said_in_answer(self, heard: Any, before: dict[str, Any], said: list[str]) -> None:
        if heard.TYPE == "commande.initiee":
            product = before["produits"].get(heard.produit_id, {"disponible": 0})
            answer = "stock.reserve" if heard.quantite <= product["disponible"] else "stock.reservation_echouee"
            assert said == ([answer] if self.is_new(heard) else [])

    def check_sums(self, state: dict[str, Any]) -> None:
        held: Counter[str] = Counter()
        for reserved in self.standing("stock.reserve"):
            held[reserved.produit_id] += reserved.quantite
        for name, product in state["produits"].items():
            assert product["initial"] == product["disponible"] + product["retenu"] + product["vendu"]
            assert min(product.values()) >= 0
            assert product["retenu"] + product["vendu"] == held[name]
        self.answered("stock.libere")


class PaiementStore(Store):
    service = PAIEMENT

    def externals(self) -> PasserelleSimulee:
        return PasserelleSimulee(0, 0, 0)

    def said_in_answer(self, heard: Any, before: dict[str, Any], said: list[str]) -> None:
        if heard.TYPE == "stock.reserve":
            account = before["comptes"].get(heard.client_id, {"solde": 0})
            answer = "paiement.effectue" if heard.montant <= Decimal(str(account["solde"])) else "paiement.echoue"
            assert said == ([answer] if self.is_new(heard) else [])

    def check_sums(self, state: dict[str, Any]) -> None:
        moved = {name: Decimal(str(m["montant"])) for name, m in state["mouvements"].items()}
        spent = sum(Decimal(str(c["initial"])) - Decimal(str(c["solde"])) for c in state["comptes"].values())
        taken = sum(paid.montant for paid in self.standing("paiement.effectue"))
        assert spent == moved["debits"] - moved["remboursements"] == taken
        assert all(account["solde"] >= 0 for account in state["comptes"].values())
        self.answered("paiement.rembourse")


class CommandeStore(Store):
    service = COMMANDE

    def check_sums(self, state: dict[str, Any]) -> None:
        said = Counter(envelope.type for envelope in self.harness.envelopes)
        assert state["commandes"]["annulees"] == said["commande.annulee"]
        assert state["commandes"]["creees"] <= said["commande.creee"]
        # An order known from a service alone counts once its deadline has passed.
        cancelled = {e.key for e in self.harness.envelopes if e.type == "commande.annulee"}
        assert state["commandes"]["total"] == len(self.heard.get("commande.initiee", set()) | cancelled)


class NotificationStore(Store):
    service = NOTIFICATION
    most_of_a_kind = 2

    def externals(self) -> NullCourrier:
        return NullCourrier()

    def said_in_answer(self, heard: Any, before: dict[str, Any], said: list[str]) -> None:
        if not self.is_new(heard):
            assert said == []
            return
        confirmed = heard.commande_id in self.heard.get("commande.creee", set())
        late = "rectificatif" if confirmed else "annulation"
        wanted = late if heard.TYPE == "commande.annulee" else "confirmation"
        assert [dict(self.harness.envelopes[-1].data)["modele"], *said] == [wanted, "notification.envoyee"]

    def check_sums(self, state: dict[str, Any]) -> None:
        said = Counter(dict(envelope.data)["modele"] for envelope in self.harness.envelopes)
        assert {name: number for name, number in state["messages"].items() if number} == said


STORES: tuple[type[Store], ...] = (StockStore, PaiementStore, CommandeStore, NotificationStore)
