"""The business invariants I1 to I5 and I7, each a pure function (history, books) → violations.

They are the ones of the catalogue of faults. "Could not tell" is a violation: a checker that finds nothing to look
at says so. What concerns messages and processes is in `delivery_checkers.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from tests.chaos.history import EXHAUSTED
from tests.chaos.verdicts import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.chaos.books import Books, Commande
    from tests.chaos.history import History

CREATED, CANCELLED, UNKNOWN = "creee", "annulee", "inconnue"
UNDONE = {step.undone.TYPE: step.service for step in CHOREOGRAPHY.undoings if step.undone}


def excused(history: History) -> frozenset[str]:
    """The orders that visibly need a person: one of their genuine messages exhausted its tries."""
    known = {message.body for message in history.genuine}
    return frozenset(
        letter.facts.commande_id
        for letter in history.letters
        if letter.facts.commande_id and _gave_up(letter.reason, letter.body in known or letter.facts.cause)
    )


def _gave_up(reason: str | None, genuine: object) -> bool:
    return bool(genuine) and reason in {EXHAUSTED, None}


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


def money(history: History, books: Books) -> Iterator[Violation]:
    """I2. What was taken and kept is what created orders cost; one debit and one refund an order at most."""
    if not books.comptes:
        yield Violation("I2", "could not tell: no accounts")
    taken = sum((debit.montant for debit in books.debits if debit.etat == "pris"), Decimal(0))
    missing = sum((compte.initial - compte.solde for compte in books.comptes.values()), Decimal(0))
    if taken != missing:
        yield Violation("I2", f"accounts miss {missing}, debits say {taken}")
    needing = excused(history)
    due = {o: c.montant for o, c in books.commandes.items() if c.etat == CREATED and o not in needing}
    kept = _sum((d.commande_id, d.montant) for d in books.debits if d.etat == "pris")
    total = sum((montant or Decimal(0) for montant in due.values()), Decimal(0))
    paid = sum((montant for order, montant in kept.items() if order not in needing), Decimal(0))
    if total != paid:
        yield Violation("I2", f"orders created cost {total}, {paid} was taken for them")
    yield from _movements(books)


def _movements(books: Books) -> Iterator[Violation]:
    for order, number in Counter(debit.commande_id for debit in books.debits).items():
        if number > 1:
            yield Violation("I2", f"{order}: {number} debits")
    debited = {debit.commande_id for debit in books.debits}
    refunds = Counter(
        row.commande_id
        for row in books.of("paiement").outbox
        if row.type == "paiement.rembourse" and row.facts.data.get("transaction_id") is not None
    )
    for order, number in refunds.items():
        if number > 1:
            yield Violation("I2", f"{order}: {number} refunds")
        if order not in debited:
            yield Violation("I2", f"{order}: refunded, and never debited")


def termination(history: History, books: Books) -> Iterator[Violation]:
    """I3. Every order is created, or cancelled and wholly undone, or visibly needs a person."""
    ordered = {m.facts.commande_id for m in history.genuine if m.key == CHOREOGRAPHY.starts.TYPE and m.confirmed}
    known = {order for order, commande in books.commandes.items() if commande.etat != UNKNOWN}
    orders = sorted((ordered | known) - {None} - excused(history))  # type: ignore[type-var]
    if not orders and not excused(history):
        yield Violation("I3", "could not tell: no orders")
    answered = {
        (service, row.type, row.commande_id) for service in books.services for row in books.of(service).outbox
    }
    for order in orders:
        for problem in _unfinished(str(order), books.commandes.get(str(order)), answered):
            yield Violation("I3", f"{order}: {problem}")


def _unfinished(order: str, commande: Commande | None, answered: set[tuple[str, str, str]]) -> Iterator[str]:
    if commande is None:
        yield "the order service has never heard of it"
    elif commande.etat not in {CREATED, CANCELLED}:
        yield f"still {commande.etat}"
    elif commande.etat == CANCELLED:
        for type_, service in UNDONE.items():
            if (service, type_, order) not in answered:
                yield f"cancelled, and {service} never answered {type_}"
    if commande is not None and ("notification", "notification.envoyee", order) not in answered:
        yield "the customer was told nothing"


def one_decision(history: History, books: Books) -> Iterator[Violation]:
    """I4. At most one creation and one cancellation an order, by distinct id, in the outbox and the history."""
    exchange = f"{CHOREOGRAPHY.decider}.events"
    decided: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in books.of(CHOREOGRAPHY.decider).outbox:
        decided[row.type, row.commande_id].add(row.event_id)
    for spoken in history.spoken:
        facts = spoken.facts
        if spoken.exchange == exchange and facts.type and facts.commande_id and facts.event_id:
            decided[facts.type, facts.commande_id].add(facts.event_id)
    if not decided:
        yield Violation("I4", "could not tell: nothing was decided")
    for (type_, order), ids in decided.items():
        if len(ids) > 1:
            yield Violation("I4", f"{order}: {len(ids)} events {type_}")


def agreement(history: History, books: Books) -> Iterator[Violation]:
    """I5. Created and not cancelled ⇔ sold and paid; cancelled ⇔ nothing held, no money kept."""
    if not books.commandes:
        yield Violation("I5", "could not tell: no orders in the books")
    held = {r.commande_id: r.etat for r in books.reservations if r.etat != "liberee"}
    paid = {debit.commande_id for debit in books.debits if debit.etat == "pris"}
    for order in sorted((set(books.commandes) | set(held) | paid) - excused(history)):
        commande = books.commandes.get(order)
        state = commande.etat if commande else UNKNOWN
        goods = held.get(order, "nothing held")
        if state == CREATED and (goods != "vendue" or order not in paid):
            yield Violation("I5", f"{order}: created, with {goods} and {'paid' if order in paid else 'not paid'}")
        if state != CREATED and (order in held or order in paid):
            yield Violation("I5", f"{order}: {state}, with {goods} and {'paid' if order in paid else 'not paid'}")


def no_double_effect(history: History, books: Books) -> Iterator[Violation]:
    """I7. At most one effect per (service, event heard), and per natural key."""
    if not any(kept.outbox for kept in books.services.values()):
        yield Violation("I7", "could not tell: nothing was said")
    for service, kept in books.services.items():
        causes: Counter[str] = Counter()
        natural: Counter[str] = Counter()
        for row in kept.outbox:
            facts = row.facts
            causes[f"{row.type} in answer to {facts.cause}"] += 1
            natural[f"{row.type} {facts.data.get('modele', '')} for {row.commande_id}"] += 1
        for what, number in [*causes.items(), *natural.items()]:
            if number > 1:
                yield Violation("I7", f"{service} said {number} times: {what}")
    yield from _effects(books)


def _effects(books: Books) -> Iterator[Violation]:
    for order, number in Counter(reservation.commande_id for reservation in books.reservations).items():
        if number > 1:
            yield Violation("I7", f"{order}: {number} reservations")
    letters = Counter(books.envois)
    for envoi, number in letters.items():
        if number > 1:
            yield Violation("I7", f"{envoi.commande_id}: {number} messages {envoi.modele}")


def _sum(pairs: Iterable[tuple[str, Decimal]] | Iterable[tuple[str, int]]) -> defaultdict[str, Decimal]:
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, number in pairs:
        total[key] += number
    return total
