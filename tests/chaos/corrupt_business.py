"""Corrupted histories for the invariants of orders, goods, money and mails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from scripts.nemesis.databases import Compte, Debit, Envoi, Reservation
from scripts.nemesis.history import Charge, DeadLetter, Mail, StreamEntry
from tests.chaos.corrupt import Case, corrupted, order, stock_of, with_published
from tests.chaos.sample_history import DATABASES, HISTORY, body, outbox_row, with_outbox

EXHAUSTED_STEP = DeadLetter("paiement", body("A", "stock.reserve"), "exhausted")

CASES: dict[str, Case] = {
    "goods vanish from stock": corrupted("I1", "P: 10 initially", databases=stock_of(7, 0, 2)),
    "a stock row and its reservations differ": corrupted("I1", "differ", databases=stock_of(8, 1, 1)),
    "more is held than there is": corrupted(
        "I1",
        "-2 available",
        databases=replace(stock_of(-2, 0, 12), reservations=(Reservation("A", "P", 12, "vendue"),)),
    ),
    "an order pays twice": corrupted(
        "I2",
        "A: 2 debits",
        databases=replace(DATABASES, debits=(*DATABASES.debits, Debit("A", "K", Decimal("9.99"), "pris"))),
    ),
    "money is taken from an account without a debit": corrupted(
        "I2",
        "K: the balance fell by 9.99",
        databases=replace(DATABASES, debits=DATABASES.debits[1:]),
    ),
    "a cancelled order's money is kept": corrupted("I2", "was taken for it", databases=order("A", "annulee")),
    "a refund without a debit": corrupted(
        "I2",
        "never debited",
        databases=replace(DATABASES, debits=DATABASES.debits[:1]),
    ),
    "a refund is given twice": corrupted(
        "I2",
        "B: 2 refunds",
        databases=with_published("paiement", "B:paiement.rembourse"),
    ),
    "an order never ends": corrupted("I3", "A: still en_attente", databases=order("A", "en_attente")),
    "an order that was confirmed to the client is unknown": corrupted(
        "I3",
        "commande does not know it",
        databases=replace(DATABASES, commandes={k: v for k, v in DATABASES.commandes.items() if k != "A"}),
    ),
    "an undoing is not answered": corrupted(
        "I3",
        "B: cancelled, but stock never published",
        databases=with_published("stock", without="B:stock.libere"),
    ),
    "the customer is not notified": corrupted(
        "I3",
        "A: the customer was not notified",
        databases=with_published("notification", without="A:notification.envoyee"),
    ),
    "an order is created twice": corrupted(
        "I4", "A: 2 events", databases=with_published("commande", "A:commande.creee")
    ),
    "an order is cancelled twice, which only the history shows": corrupted(
        "I4",
        "B: 2 events",
        history=replace(
            HISTORY,
            stream=(
                *HISTORY.stream,
                StreamEntry("commande.events", "commande.annulee", body("B", "commande.annulee", "X")),
            ),
        ),
    ),
    "a created order's goods are only held": corrupted(
        "I5",
        "A: created, with retenue",
        databases=replace(
            stock_of(8, 2, 0),
            reservations=(Reservation("A", "P", 2, "retenue"), DATABASES.reservations[1]),
        ),
    ),
    "a created order is not paid": corrupted(
        "I5",
        "not paid",
        databases=replace(DATABASES, debits=DATABASES.debits[1:]),
    ),
    "a cancelled order still holds goods": corrupted(
        "I5",
        "B: annulee, with retenue",
        databases=replace(
            stock_of(5, 3, 2),
            reservations=(DATABASES.reservations[0], Reservation("B", "P", 3, "retenue")),
        ),
    ),
    "goods are held for an unknown order": corrupted(
        "I5",
        "Z: inconnue",
        databases=replace(DATABASES, reservations=(*DATABASES.reservations, Reservation("Z", "P", 1, "retenue"))),
    ),
    "a service answers the same event twice": corrupted(
        "I7",
        "stock published 2 times",
        databases=with_outbox(
            DATABASES,
            "stock",
            [*DATABASES.of("stock").outbox, outbox_row("A", "stock.reserve", event_id="other")],
        ),
    ),
    "an order is held twice": corrupted(
        "I7",
        "A: 2 reservations",
        databases=replace(DATABASES, reservations=(*DATABASES.reservations, Reservation("A", "P", 0, "liberee"))),
    ),
    "a mail is recorded twice": corrupted(
        "I7",
        "A: 2 mails confirmation",
        databases=replace(DATABASES, envois=(*DATABASES.envois, Envoi("A", "confirmation"))),
    ),
    "an order pays less than it costs and another as much more": corrupted(
        "I2",
        "A: cost 9.99, 1.99 was taken",
        databases=replace(
            order("D", "creee"),
            debits=(
                Debit("A", "K", Decimal("1.99"), "pris"),
                DATABASES.debits[1],
                Debit("D", "K", Decimal("17.99"), "pris"),
            ),
            comptes={"K": Compte(Decimal("100.00"), Decimal("80.02"))},
        ),
    ),
    "a card is charged twice": corrupted(
        "I2",
        "A: charged 2 times",
        history=replace(HISTORY, charges=(*HISTORY.charges, Charge("other:A", "A", Decimal("9.99")))),
    ),
    "a card is charged another amount": corrupted(
        "I2",
        "A: the gateway charged 9.90",
        history=replace(HISTORY, charges=(Charge("K:A", "A", Decimal("9.90")),)),
    ),
    "an unwanted charge is never cancelled": corrupted(
        "I2",
        "B: the gateway charged 5.00, the debits say 0",
        history=replace(
            HISTORY,
            charges=(HISTORY.charges[0], replace(HISTORY.charges[1], taken_back=False)),
        ),
    ),
    "the gateway has no charge": corrupted(
        "I2",
        "A: the gateway charged 0",
        history=replace(HISTORY, charges=()),
    ),
    "a mail is sent twice": corrupted(
        "I7",
        "A: 2 mails confirmation",
        history=replace(HISTORY, mails=(*HISTORY.mails, Mail("A", "confirmation"))),
    ),
    "a mail is sent but not recorded": corrupted(
        "I7",
        "C: the mail confirmation is not recorded but was sent",
        history=replace(HISTORY, mails=(*HISTORY.mails, Mail("C", "confirmation"))),
    ),
    "a mail is recorded but not sent": corrupted(
        "I7",
        "A: the mail confirmation is recorded but was not sent",
        history=replace(HISTORY, mails=HISTORY.mails[1:]),
    ),
    "a confirmation is sent beside the cancellation": corrupted(
        "I7",
        "C: a confirmation was sent, and then a cancellation",
        history=replace(HISTORY, mails=(*HISTORY.mails, Mail("C", "confirmation"))),
    ),
    "a step is exhausted and its refusal is never published": corrupted(
        "I3",
        "A: paiement exhausted stock.reserve and never published paiement.echoue",
        history=replace(HISTORY, dead_letters=(*HISTORY.dead_letters, EXHAUSTED_STEP)),
    ),
    "an order whose step was exhausted is never cancelled": corrupted(
        "I3",
        "A: still en_attente",
        history=replace(HISTORY, dead_letters=(*HISTORY.dead_letters, EXHAUSTED_STEP)),
        databases=order("A", "en_attente"),
    ),
}
