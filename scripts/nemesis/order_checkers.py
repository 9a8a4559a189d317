"""The checkers of orders, I1 and I3 to I5: pure functions (history, databases) → violations.

"Could not tell" is a violation too: a checker that finds nothing to check says so. The checkers of effects are in
`effect_checkers.py`, of messages in `delivery_checkers.py`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from scripts.nemesis.command_checkers import unfinished_instances, wrong_commands, wrong_instances
from scripts.nemesis.exemptions import CANCELLED, CREATED, UNKNOWN, missing_refusals, orders_needing_a_person
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from choregraphie.saga.choreography import Choreography
    from scripts.nemesis.databases import Commande, Databases
    from scripts.nemesis.history import History


def stock(history: History, databases: Databases) -> Iterator[Violation]:
    """I1. For each product: initial = available + held + sold, and nothing below zero."""
    if not databases.rayons:
        yield Violation("I1", "could not tell: no stock")
    held = _sum((r.produit_id, r.quantite) for r in databases.reservations if r.etat == "retenue")
    sold = _sum((r.produit_id, r.quantite) for r in databases.reservations if r.etat == "vendue")
    for produit, rayon in databases.rayons.items():
        if rayon.initial != rayon.disponible + held[produit] + sold[produit]:
            parts = f"{rayon.disponible} + {held[produit]} + {sold[produit]}"
            yield Violation("I1", f"{produit}: {rayon.initial} initially, {parts} now")
        if rayon.retenu != held[produit] or rayon.vendu != sold[produit]:
            yield Violation("I1", f"{produit}: the stock row and its reservations differ")
        if rayon.disponible < 0:
            yield Violation("I1", f"{produit}: {rayon.disponible} available")


def termination(history: History, databases: Databases) -> Iterator[Violation]:
    """I3. Every order is created, or cancelled and fully undone, or visibly needs a person."""
    if not _orders(history, databases):
        yield Violation("I3", "could not tell: no orders")
    exempt = orders_needing_a_person(history)
    for order, problem in unfinished_orders(history, databases):
        if order not in exempt:
            yield Violation("I3", f"{order}: {problem}")
    yield from missing_refusals(history, databases)


def unfinished_orders(history: History, databases: Databases) -> Iterator[tuple[str, str]]:
    """Each unfinished order and what it lacks, without regard to exemptions."""
    published: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for service, tables in databases.services.items():
        for row in tables.outbox:
            published[row.commande_id].add((service, row.type))
    orders = sorted(_orders(history, databases))
    for order in orders:
        for problem in _unfinished(history.saga, databases.commandes.get(order), published[order]):
            yield order, problem
    yield from unfinished_instances(history, databases, orders)


def _orders(history: History, databases: Databases) -> set[str]:
    """The orders confirmed to a client, and those that the service commande has recorded."""
    starts = history.saga.starts.TYPE
    ordered = {m.fields.commande_id for m in history.genuine if m.key == starts and m.confirmed}
    known = {order for order, commande in databases.commandes.items() if commande.etat != UNKNOWN}
    return {order for order in ordered if order is not None} | known


def _unfinished(saga: Choreography, commande: Commande | None, published: set[tuple[str, str]]) -> Iterator[str]:
    if commande is None:
        yield "commande does not know it"
    elif commande.etat not in {CREATED, CANCELLED}:
        yield f"still {commande.etat}"
    elif commande.etat == CANCELLED:
        for step in saga.undoings_due({type_ for _, type_ in published}):
            if step.undone and (step.service, step.undone.TYPE) not in published:
                yield f"cancelled, but {step.service} never published {step.undone.TYPE}"
    if commande is not None and ("notification", "notification.envoyee") not in published:
        yield "the customer was not notified"


def one_decision(history: History, databases: Databases) -> Iterator[Violation]:
    """I4. At most one creation and one cancellation per order, by distinct id, in the outbox and the stream."""
    exchange = f"{history.saga.decider}.events"
    decided: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in databases.of(history.saga.decider).outbox:
        decided[row.type, row.commande_id].add(row.identity)
    for entry in history.stream:
        fields = entry.fields
        if entry.exchange == exchange and fields.type and fields.commande_id and fields.identity:
            decided[fields.type, fields.commande_id].add(fields.identity)
    if not decided:
        yield Violation("I4", "could not tell: nothing was decided")
    for (type_, order), ids in decided.items():
        if len(ids) > 1:
            yield Violation("I4", f"{order}: {len(ids)} events {type_}")


def agreement(history: History, databases: Databases) -> Iterator[Violation]:
    """I5. Created and not cancelled ⇔ sold and paid; cancelled ⇔ nothing held, no money kept.

    An orchestrator agrees, and has said its commands in the declared order.
    """
    if not databases.commandes:
        yield Violation("I5", "could not tell: no orders in the databases")
    exempt = orders_needing_a_person(history)
    for order, problem in disagreements(history, databases):
        if order not in exempt:
            yield Violation("I5", f"{order}: {problem}")


def disagreements(history: History, databases: Databases) -> Iterator[tuple[str, str]]:
    """Each order on which the services' databases disagree, and how, without regard to exemptions."""
    yield from wrong_instances(databases)
    yield from wrong_commands(history, databases)
    held = {r.commande_id: r.etat for r in databases.reservations if r.etat != "liberee"}
    paid = {debit.commande_id for debit in databases.debits if debit.etat == "pris"}
    for order in sorted(set(databases.commandes) | set(held) | paid):
        commande = databases.commandes.get(order)
        state = commande.etat if commande else UNKNOWN
        goods = held.get(order, "nothing held")
        money = "paid" if order in paid else "not paid"
        if state == CREATED and (goods != "vendue" or order not in paid):
            yield order, f"created, with {goods} and {money}"
        if state != CREATED and (order in held or order in paid):
            yield order, f"{state}, with {goods} and {money}"


def _sum(pairs: Iterable[tuple[str, int]]) -> defaultdict[str, int]:
    total: defaultdict[str, int] = defaultdict(int)
    for key, number in pairs:
        total[key] += number
    return total
