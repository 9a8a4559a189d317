"""The checkers of effects that cannot be repeated, I2 and I7: money, goods, mails. Pure.

Unique keys keep a second row out of a service's own tables, so these prove little. The card gateway and the mail
folder are outside the services, and show what really happened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from scripts.nemesis.exemptions import CREATED, orders_needing_a_person
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import History

NOTHING = Decimal(0)
CONFIRMATION, CANCELLATION, CORRECTION = "confirmation", "annulation", "rectificatif"


def money(history: History, databases: Databases) -> Iterator[Violation]:
    """I2. In the databases and at the gateway, a created order cost its price and every other order nothing."""
    if not databases.comptes:
        yield Violation("I2", "could not tell: no accounts")
    taken = _sum((d.commande_id, d.montant) for d in databases.debits if d.etat == "pris")
    taken_by_client = _sum((d.client_id, d.montant) for d in databases.debits if d.etat == "pris")
    for client, compte in databases.comptes.items():
        if compte.initial - compte.solde != taken_by_client[client]:
            missing = compte.initial - compte.solde
            yield Violation(
                "I2", f"{client}: the balance fell by {missing}, the debits are {taken_by_client[client]}"
            )
    exempt = orders_needing_a_person(history)
    due = {order: c.montant or NOTHING for order, c in databases.commandes.items() if c.etat == CREATED}
    for order in sorted(({*due} | {*taken}) - exempt):
        if due.get(order, NOTHING) != taken[order]:
            yield Violation("I2", f"{order}: cost {due.get(order, NOTHING)}, {taken[order]} was taken for it")
    yield from _movements(databases)
    yield from _charges(history, taken, exempt)


def _movements(databases: Databases) -> Iterator[Violation]:
    for order, number in Counter(debit.commande_id for debit in databases.debits).items():
        if number > 1:
            yield Violation("I2", f"{order}: {number} debits")
    debited = {debit.commande_id for debit in databases.debits}
    refunds = Counter(
        row.commande_id
        for row in databases.of("paiement").outbox
        if row.type == "paiement.rembourse" and row.fields.data.get("transaction_id") is not None
    )
    for order, number in refunds.items():
        if number > 1:
            yield Violation("I2", f"{order}: {number} refunds")
        if order not in debited:
            yield Violation("I2", f"{order}: refunded but never debited")


def _charges(history: History, taken: defaultdict[str, Decimal], exempt: frozenset[str]) -> Iterator[Violation]:
    """The gateway has charged each order what the databases say, under one key."""
    standing = [charge for charge in history.charges if not charge.taken_back]
    for order, number in Counter(charge.commande_id for charge in standing).items():
        if number > 1:
            yield Violation("I2", f"{order}: charged {number} times")
    charged = _sum((charge.commande_id, charge.montant) for charge in standing)
    for order in sorted(({*charged} | {*taken}) - exempt):
        if charged[order] != taken[order]:
            yield Violation("I2", f"{order}: the gateway charged {charged[order]}, the debits say {taken[order]}")


def no_double_effect(history: History, databases: Databases) -> Iterator[Violation]:
    """I7. At most one effect per (service, event heard) and per natural key; one mail for each recorded one."""
    if not any(tables.outbox for tables in databases.services.values()):
        yield Violation("I7", "could not tell: nothing was published")
    for service, tables in databases.services.items():
        by_cause: Counter[str] = Counter()
        by_key: Counter[str] = Counter()
        for row in tables.outbox:
            fields = row.fields
            # Two clients may use the same id, so the answers are also told apart by their order.
            by_cause[f"{row.type} in answer to {fields.cause} for {row.commande_id}"] += 1
            by_key[f"{row.type} {fields.data.get('modele', '')} for {row.commande_id}"] += 1
        for what, number in [*by_cause.items(), *by_key.items()]:
            if number > 1:
                yield Violation("I7", f"{service} published {number} times: {what}")
    for order, number in Counter(reservation.commande_id for reservation in databases.reservations).items():
        if number > 1:
            yield Violation("I7", f"{order}: {number} reservations")
    yield from _mails(history, databases)


def _mails(history: History, databases: Databases) -> Iterator[Violation]:
    recorded = Counter((envoi.commande_id, envoi.modele) for envoi in databases.envois)
    sent = Counter((mail.commande_id, mail.modele) for mail in history.mails)
    for (order, modele), number in sorted((recorded | sent).items()):
        if number > 1:
            yield Violation("I7", f"{order}: {number} mails {modele}")
    for order in sorted({order for order, modele in sent if modele == CONFIRMATION}):
        if sent[order, CANCELLATION]:
            yield Violation(
                "I7", f"{order}: a confirmation was sent, and then a cancellation in place of a correction"
            )
    exempt = orders_needing_a_person(history)
    for order, modele in sorted(recorded.keys() ^ sent.keys()):
        # A confirmation may be sent just before its cancellation is handled; a correction then follows.
        overtaken = modele == CONFIRMATION and sent[order, CORRECTION] and not recorded[order, modele]
        if order not in exempt and not overtaken:
            what = "recorded but was not sent" if recorded[order, modele] else "not recorded but was sent"
            yield Violation("I7", f"{order}: the mail {modele} is {what}")


def _sum(pairs: Iterable[tuple[str, Decimal]]) -> defaultdict[str, Decimal]:
    total: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, number in pairs:
        total[key] += number
    return total
