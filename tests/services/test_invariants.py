"""The invariants hold for events in any order and repeated any number of times."""

import tempfile
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from choregraphie import Settings
from choregraphie.testing import ServiceHarness, open_harness
from services.paiement import SERVICE as PAIEMENT
from services.paiement.store import Debit
from services.stock import SERVICE as STOCK
from services.stock.store import Reservation
from tests.support.event_builders import annulee, creee, initiee, reserve
from tests.support.fake_gateway import FakeGateway

CATALOGUE = "[produits]\nVIS = 10\nCLOU = 3\n[comptes]\nANNE = 100.00\nBOB = 20.00\n"
ORDERS = st.sampled_from([f"C-{n}" for n in range(6)])
# Groups of references to events; an event may be repeated, early, late or absent.
GROUPS = st.lists(
    st.lists(st.tuples(st.sampled_from(["do", "settle", "undo"]), ORDERS), min_size=1, max_size=8), max_size=10
)
PRODUCTS = st.fixed_dictionaries(
    {f"C-{n}": st.tuples(st.sampled_from(["VIS", "CLOU"]), st.integers(1, 6)) for n in range(6)}
)
AMOUNTS = st.fixed_dictionaries(
    {f"C-{n}": st.tuples(st.sampled_from(["ANNE", "BOB", "EVE"]), st.integers(1, 6000)) for n in range(6)}
)
SLOW = settings(max_examples=60, deadline=None)


def harness_of(service: Any, folder: str, externals: Any = None) -> Any:
    catalogue = f"{folder}/catalogue.toml"
    with open(catalogue, "w") as file:  # noqa: PTH123 - a folder's name is a text here
        file.write(CATALOGUE)
    url = f"sqlite:///{folder}/{service.name}.sqlite3"
    return open_harness(service, Settings.model_validate({"database_url": url, "catalogue": catalogue}), externals)


def rows(harness: ServiceHarness, table: Any) -> list[Any]:
    with harness.database.begin() as connection:
        return list(connection.execute(select(table)))


@SLOW
@given(GROUPS, PRODUCTS)
def test_the_stock_always_adds_up(groups: Any, wanted: Any) -> None:
    """I1: initial = available + held + sold for each product, and the reservations add up to the same."""
    with tempfile.TemporaryDirectory() as folder, harness_of(STOCK, folder) as harness:
        events = {
            (what, name): harness.enveloped(fact)
            for name, (produit, quantite) in wanted.items()
            for what, fact in (
                ("do", initiee(name, produit_id=produit, quantite=quantite)),
                ("settle", creee(name)),
                ("undo", annulee(name)),
            )
        }
        for group in groups:
            harness.hear(*(events[key] for key in group))
        for produit, rayon in harness.inspect()["produits"].items():
            kept = [r for r in rows(harness, Reservation.TABLE) if r.produit_id == produit]
            assert rayon["initial"] == rayon["disponible"] + rayon["retenu"] + rayon["vendu"]
            assert rayon["retenu"] == sum(r.quantite for r in kept if r.etat == "retenue")
            assert rayon["vendu"] == sum(r.quantite for r in kept if r.etat == "vendue")
        heard = {key for group in groups for key in group}
        _answered(harness, heard, undone="stock.libere")
        cancelled = {name for what, name in heard if what == "undo"}
        assert all(r.etat == "liberee" for r in rows(harness, Reservation.TABLE) if r.commande_id in cancelled)


@SLOW
@given(GROUPS, AMOUNTS)
def test_the_accounts_always_add_up(groups: Any, wanted: Any) -> None:
    """I2: what was taken and not refunded is missing from the accounts and charged to the cards."""
    terminal = FakeGateway()
    with tempfile.TemporaryDirectory() as folder, harness_of(PAIEMENT, folder, terminal) as harness:
        events = {
            (what, name): harness.enveloped(fact)
            for name, (client, cents) in wanted.items()
            for what, fact in (
                ("do", reserve(name, client_id=client, montant=str(Decimal(cents) / 100))),
                ("undo", annulee(name)),
            )
        }
        for group in groups:
            harness.hear(*(events[key] for key in group if key in events))
        debits = rows(harness, Debit.TABLE)
        for client, compte in harness.inspect()["comptes"].items():
            taken = sum((d.montant for d in debits if d.client_id == client and d.etat == "pris"), Decimal(0))
            assert Decimal(str(compte["initial"])) - taken == Decimal(str(compte["solde"])) >= 0
        heard = {key for group in groups for key in group if key in events}
        _answered(harness, heard, undone="paiement.rembourse")
        cancelled = {name for what, name in heard if what == "undo"}
        assert all(d.etat == "rembourse" for d in debits if d.commande_id in cancelled)
        charged = {key.rpartition(":")[2] for key in terminal.charged}
        assert charged.isdisjoint(cancelled)
        assert {d.commande_id for d in debits if d.etat == "pris"} <= charged


def _answered(harness: ServiceHarness, heard: set[tuple[str, str]], undone: str) -> None:
    """Each undoing is answered once, each step at most once, and no event is about an unknown order."""
    answers = [e.key for e in harness.envelopes if e.type == undone]
    assert sorted(answers) == sorted(name for what, name in heard if what == "undo")
    others = [e.key for e in harness.envelopes if e.type != undone]
    assert len(others) == len(set(others))
    assert set(others) <= {name for what, name in heard if what == "do"}
