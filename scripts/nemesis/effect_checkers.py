"""The invariants of what cannot be said twice, I2 and I7: money, goods, and what has left the system. Pure.

A service's own tables have keys that keep a second row out, so they alone prove little: the card gateway and the
carrier's folder are outside, and are asked what really happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from scripts.nemesis.exemptions import CREATED, excused
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History

NOTHING = Decimal(0)
CONFIRMATION, CANCELLATION, CORRECTION = "confirmation", "annulation", "rectificatif"


def money(history: History, books: Books) -> Iterator[Violation]:
    """I2. Each order created has cost what was ordered, any other nothing, in the books and at the gateway."""
    if not books.comptes:
        yield Violation("I2", "could not tell: no accounts")
    kept = _sum((d.commande_id, d.montant) for d in books.debits if d.etat == "pris")
    taken = _sum((d.client_id, d.montant) for d in books.debits if d.etat == "pris")
    for client, compte in books.comptes.items():
        if compte.initial - compte.solde != taken[client]:
            missing = compte.initial - compte.solde
            yield Violation("I2", f"{client}: the account misses {missing}, debits say {taken[client]}")
    needing = excused(history)
    due = {order: c.montant or NOTHING for order, c in books.commandes.items() if c.etat == CREATED}
    for order in sorted(({*due} | {*kept}) - needing):
        if due.get(order, NOTHING) != kept[order]:
            yield Violation("I2", f"{order}: cost {due.get(order, NOTHING)}, {kept[order]} was taken for it")
    yield from _movements(books)
    yield from _charges(history, kept, needing)


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


def _charges(history: History, kept: defaultdict[str, Decimal], needing: frozenset[str]) -> Iterator[Violation]:
    """The gateway holds for each order what the books say, under one key."""
    standing = [charge for charge in history.charges if not charge.taken_back]
    for order, number in Counter(charge.commande_id for charge in standing).items():
        if number > 1:
            yield Violation("I2", f"{order}: charged {number} times")
    charged = _sum((charge.commande_id, charge.montant) for charge in standing)
    for order in sorted(({*charged} | {*kept}) - needing):
        if charged[order] != kept[order]:
            yield Violation("I2", f"{order}: the gateway holds {charged[order]}, the books say {kept[order]}")


def no_double_effect(history: History, books: Books) -> Iterator[Violation]:
    """I7. At most one effect per (service, event heard), and per natural key; one mail for each that is noted."""
    if not any(kept.outbox for kept in books.services.values()):
        yield Violation("I7", "could not tell: nothing was said")
    for service, kept in books.services.items():
        causes: Counter[str] = Counter()
        natural: Counter[str] = Counter()
        for row in kept.outbox:
            facts = row.facts
            # Two clients may use one id: what answers each is told apart by the order that it is about.
            causes[f"{row.type} in answer to {facts.cause} for {row.commande_id}"] += 1
            natural[f"{row.type} {facts.data.get('modele', '')} for {row.commande_id}"] += 1
        for what, number in [*causes.items(), *natural.items()]:
            if number > 1:
                yield Violation("I7", f"{service} said {number} times: {what}")
    for order, number in Counter(reservation.commande_id for reservation in books.reservations).items():
        if number > 1:
            yield Violation("I7", f"{order}: {number} reservations")
    yield from _mails(history, books)


def _mails(history: History, books: Books) -> Iterator[Violation]:
    noted = Counter((envoi.commande_id, envoi.modele) for envoi in books.envois)
    left = Counter((mail.commande_id, mail.modele) for mail in history.mails)
    for (order, modele), number in sorted((noted | left).items()):
        if number > 1:
            yield Violation("I7", f"{order}: {number} messages {modele}")
    for order in sorted({order for order, modele in left if modele == CONFIRMATION}):
        if left[order, CANCELLATION]:
            yield Violation("I7", f"{order}: a confirmation left, and then no correction but a cancellation")
    needing = excused(history)
    for order, modele in sorted(noted.keys() ^ left.keys()):
        # A confirmation may have left just before its cancellation was dealt with: then a correction follows.
        overtaken = modele == CONFIRMATION and left[order, CORRECTION] and not noted[order, modele]
        if order not in needing and not overtaken:
            what = "noted, and never left" if noted[order, modele] else "left, and is noted nowhere"
            yield Violation("I7", f"{order}: the message {modele} is {what}")


def _sum(pairs: Iterable[tuple[str, Decimal]]) -> defaultdict[str, Decimal]:
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, number in pairs:
        total[key] += number
    return total
