"""The invariants of orders, I1 and I3 to I5, each a pure function (history, books) → violations.

They are the ones of the catalogue of faults. "Could not tell" is a violation: a checker that finds nothing to look
at says so. Effects are in `effect_checkers.py`, messages in `delivery_checkers.py`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.exemptions import CANCELLED, CREATED, UNKNOWN, excused, unrefused
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.nemesis.databases import Books, Commande
    from scripts.nemesis.history import History


def stock(history: History, books: Books) -> Iterator[Violation]:
    """I1. For each product: initial = available + held + sold, and nothing below zero."""
    if not books.rayons:
        yield Violation("I1", "could not tell: no shelves")
    held = _sum((r.produit_id, r.quantite) for r in books.reservations if r.etat == "retenue")
    sold = _sum((r.produit_id, r.quantite) for r in books.reservations if r.etat == "vendue")
    for produit, rayon in books.rayons.items():
        if rayon.initial != rayon.disponible + held[produit] + sold[produit]:
            parts = f"{rayon.disponible} + {held[produit]} + {sold[produit]}"
            yield Violation("I1", f"{produit}: {rayon.initial} initially, {parts} now")
        if rayon.retenu != held[produit] or rayon.vendu != sold[produit]:
            yield Violation("I1", f"{produit}: the shelf and its reservations differ")
        if rayon.disponible < 0:
            yield Violation("I1", f"{produit}: {rayon.disponible} available")


def termination(history: History, books: Books) -> Iterator[Violation]:
    """I3. Every order is created, or cancelled and wholly undone, or visibly needs a person."""
    if not _orders(history, books):
        yield Violation("I3", "could not tell: no orders")
    needing = excused(history)
    for order, problem in unended(history, books):
        if order not in needing:
            yield Violation("I3", f"{order}: {problem}")
    yield from unrefused(history, books)


def unended(history: History, books: Books) -> Iterator[tuple[str, str]]:
    """Each order that has not come to its end, and what is missing, whoever is excused."""
    answered = {
        (service, row.type, row.commande_id) for service in books.services for row in books.of(service).outbox
    }
    for order in sorted(_orders(history, books)):
        for problem in _unfinished(order, books.commandes.get(order), answered):
            yield order, problem


def _orders(history: History, books: Books) -> set[str]:
    """Those that were confirmed to a client, and those that the order service has taken."""
    starts = CHOREOGRAPHY.starts.TYPE
    ordered = {m.facts.commande_id for m in history.genuine if m.key == starts and m.confirmed}
    known = {order for order, commande in books.commandes.items() if commande.etat != UNKNOWN}
    return {order for order in ordered if order is not None} | known


def _unfinished(order: str, commande: Commande | None, answered: set[tuple[str, str, str]]) -> Iterator[str]:
    if commande is None:
        yield "the order service has never heard of it"
    elif commande.etat not in {CREATED, CANCELLED}:
        yield f"still {commande.etat}"
    elif commande.etat == CANCELLED:
        for type_, service in CHOREOGRAPHY.undoing_types.items():
            if (service, type_, order) not in answered:
                yield f"cancelled, and {service} never answered {type_}"
    if commande is not None and ("notification", "notification.envoyee", order) not in answered:
        yield "the customer was told nothing"


def one_decision(history: History, books: Books) -> Iterator[Violation]:
    """I4. At most one creation and one cancellation an order, by distinct id, in the outbox and the history."""
    exchange = f"{CHOREOGRAPHY.decider}.events"
    decided: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in books.of(CHOREOGRAPHY.decider).outbox:
        decided[row.type, row.commande_id].add(row.identity)
    for spoken in history.spoken:
        facts = spoken.facts
        if spoken.exchange == exchange and facts.type and facts.commande_id and facts.identity:
            decided[facts.type, facts.commande_id].add(facts.identity)
    if not decided:
        yield Violation("I4", "could not tell: nothing was decided")
    for (type_, order), ids in decided.items():
        if len(ids) > 1:
            yield Violation("I4", f"{order}: {len(ids)} events {type_}")


def agreement(history: History, books: Books) -> Iterator[Violation]:
    """I5. Created and not cancelled ⇔ sold and paid; cancelled ⇔ nothing held, no money kept."""
    if not books.commandes:
        yield Violation("I5", "could not tell: no orders in the books")
    needing = excused(history)
    for order, problem in disagreements(books):
        if order not in needing:
            yield Violation("I5", f"{order}: {problem}")


def disagreements(books: Books) -> Iterator[tuple[str, str]]:
    """Each order of which the services' books say different things, and what, whoever is excused."""
    held = {r.commande_id: r.etat for r in books.reservations if r.etat != "liberee"}
    paid = {debit.commande_id for debit in books.debits if debit.etat == "pris"}
    for order in sorted(set(books.commandes) | set(held) | paid):
        commande = books.commandes.get(order)
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
