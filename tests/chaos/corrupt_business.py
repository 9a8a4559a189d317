"""Spoilt histories for the invariants of orders, goods, money and messages to customers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from scripts.nemesis.databases import Compte, Debit, Envoi, Reservation
from scripts.nemesis.history import Charge, DeadLetter, Mail, StreamEntry
from tests.chaos.corrupt import Case, corrupted, order, said_by, stock_of
from tests.chaos.sample_history import body, databases, decided, history, with_outbox

GIVEN_UP = DeadLetter("paiement", body("A", "stock.reserve"), "exhausted")

CASES: dict[str, Case] = {
    "goods vanish from a shelf": corrupted("I1", "P: 10 initially", kept=stock_of(7, 0, 2)),
    "a shelf and its reservations differ": corrupted("I1", "differ", kept=stock_of(8, 1, 1)),
    "more is held than there is": corrupted(
        "I1",
        "-2 available",
        kept=replace(stock_of(-2, 0, 12), reservations=(Reservation("A", "P", 12, "vendue"),)),
    ),
    "an order pays twice": corrupted(
        "I2",
        "A: 2 debits",
        kept=replace(databases(), debits=(*databases().debits, Debit("A", "K", Decimal("9.99"), "pris"))),
    ),
    "money is taken from an account without a debit": corrupted(
        "I2", "K: the balance fell by 9.99", kept=replace(databases(), debits=databases().debits[1:])
    ),
    "a cancelled order's money is kept": corrupted("I2", "was taken for it", kept=order("A", "annulee")),
    "a refund without a debit": corrupted(
        "I2",
        "never debited",
        kept=replace(databases(), debits=databases().debits[:1]),
    ),
    "a refund is given twice": corrupted(
        "I2",
        "B: 2 refunds",
        kept=said_by("paiement", "B:paiement.rembourse"),
    ),
    "an order waits for ever": corrupted("I3", "A: still en_attente", kept=order("A", "en_attente")),
    "an order that was confirmed to the client is unknown": corrupted(
        "I3",
        "commande does not know it",
        kept=replace(databases(), commandes={k: v for k, v in databases().commandes.items() if k != "A"}),
    ),
    "an undoing is not answered": corrupted(
        "I3", "B: cancelled, but stock never published", kept=said_by("stock", without="B:stock.libere")
    ),
    "the customer is told nothing": corrupted(
        "I3", "A: the customer was not notified", kept=said_by("notification", without="A:notification.envoyee")
    ),
    "an order is created twice": corrupted("I4", "A: 2 events", kept=said_by("commande", "A:commande.creee")),
    "an order is cancelled twice, which only the history remembers": corrupted(
        "I4",
        "B: 2 events",
        past=replace(
            history(),
            stream=(
                *history().stream,
                StreamEntry("commande.events", "commande.annulee", body("B", "commande.annulee", "X")),
            ),
        ),
    ),
    "a created order's goods are only held": corrupted(
        "I5",
        "A: created, with retenue",
        kept=replace(
            stock_of(8, 2, 0), reservations=(Reservation("A", "P", 2, "retenue"), databases().reservations[1])
        ),
    ),
    "a created order is not paid": corrupted(
        "I5",
        "not paid",
        kept=replace(databases(), debits=databases().debits[1:]),
    ),
    "a cancelled order still holds goods": corrupted(
        "I5",
        "B: annulee, with retenue",
        kept=replace(
            stock_of(5, 3, 2), reservations=(databases().reservations[0], Reservation("B", "P", 3, "retenue"))
        ),
    ),
    "goods are held for an order that nobody knows": corrupted(
        "I5",
        "Z: inconnue",
        kept=replace(databases(), reservations=(*databases().reservations, Reservation("Z", "P", 1, "retenue"))),
    ),
    "a service answers the same event twice": corrupted(
        "I7",
        "stock published 2 times",
        kept=with_outbox(
            databases(),
            "stock",
            [*databases().of("stock").outbox, decided("A", "stock.reserve", event_id="other")],
        ),
    ),
    "an order is held twice": corrupted(
        "I7",
        "A: 2 reservations",
        kept=replace(databases(), reservations=(*databases().reservations, Reservation("A", "P", 0, "liberee"))),
    ),
    "a message leaves twice": corrupted(
        "I7",
        "A: 2 mails confirmation",
        kept=replace(databases(), envois=(*databases().envois, Envoi("A", "confirmation"))),
    ),
    "an order pays less than it costs and another as much more": corrupted(
        "I2",
        "A: cost 9.99, 1.99 was taken",
        kept=replace(
            order("D", "creee"),
            debits=(
                Debit("A", "K", Decimal("1.99"), "pris"),
                databases().debits[1],
                Debit("D", "K", Decimal("17.99"), "pris"),
            ),
            comptes={"K": Compte(Decimal("100.00"), Decimal("80.02"))},
        ),
    ),
    "a card is charged twice": corrupted(
        "I2",
        "A: charged 2 times",
        past=replace(history(), charges=(*history().charges, Charge("other:A", "A", Decimal("9.99")))),
    ),
    "a card is charged another amount": corrupted(
        "I2",
        "A: the gateway charged 9.90",
        past=replace(history(), charges=(Charge("K:A", "A", Decimal("9.90")),)),
    ),
    "a charge that was not wanted is never taken back": corrupted(
        "I2",
        "B: the gateway charged 5.00, the debits say 0",
        past=replace(history(), charges=(history().charges[0], replace(history().charges[1], taken_back=False))),
    ),
    "the gateway knows of no charge": corrupted(
        "I2",
        "A: the gateway charged 0",
        past=replace(history(), charges=()),
    ),
    "two mails leave for one message": corrupted(
        "I7",
        "A: 2 mails confirmation",
        past=replace(history(), mails=(*history().mails, Mail("A", "confirmation"))),
    ),
    "a mail leaves that nobody noted": corrupted(
        "I7",
        "C: the mail confirmation is not recorded but was sent",
        past=replace(history(), mails=(*history().mails, Mail("C", "confirmation"))),
    ),
    "a message is noted and never leaves": corrupted(
        "I7",
        "A: the mail confirmation is recorded but was not sent",
        past=replace(history(), mails=history().mails[1:]),
    ),
    "a confirmation leaves beside the cancellation": corrupted(
        "I7",
        "C: a confirmation was sent, and then a cancellation",
        past=replace(history(), mails=(*history().mails, Mail("C", "confirmation"))),
    ),
    "a step is given up and its refusal is never said": corrupted(
        "I3",
        "A: paiement exhausted stock.reserve and never published paiement.echoue",
        past=replace(history(), dead_letters=(*history().dead_letters, GIVEN_UP)),
    ),
    "an order whose step was given up is never cancelled": corrupted(
        "I3",
        "A: still en_attente",
        past=replace(history(), dead_letters=(*history().dead_letters, GIVEN_UP)),
        kept=order("A", "en_attente"),
    ),
}
