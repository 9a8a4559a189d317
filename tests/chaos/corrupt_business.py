"""Spoilt histories for the invariants of orders, goods, money and messages to customers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from scripts.nemesis.databases import Compte, Debit, Envoi, Reservation
from scripts.nemesis.history import Charge, Letter, Mail, Spoken
from tests.chaos.corrupt import Case, order, said_by, shelf, spoilt
from tests.chaos.sample_history import body, books, decided, history, with_outbox

GIVEN_UP = Letter("paiement", body("A", "stock.reserve"), "exhausted")

CASES: dict[str, Case] = {
    "goods vanish from a shelf": spoilt("I1", "P: 10 initially", kept=shelf(7, 0, 2)),
    "a shelf and its reservations differ": spoilt("I1", "differ", kept=shelf(8, 1, 1)),
    "more is held than there is": spoilt(
        "I1", "-2 available", kept=replace(shelf(-2, 0, 12), reservations=(Reservation("A", "P", 12, "vendue"),))
    ),
    "an order pays twice": spoilt(
        "I2",
        "A: 2 debits",
        kept=replace(books(), debits=(*books().debits, Debit("A", "K", Decimal("9.99"), "pris"))),
    ),
    "money is taken from an account without a debit": spoilt(
        "I2", "K: the account misses 9.99", kept=replace(books(), debits=books().debits[1:])
    ),
    "a cancelled order's money is kept": spoilt("I2", "was taken for it", kept=order("A", "annulee")),
    "a refund without a debit": spoilt(
        "I2",
        "never debited",
        kept=replace(books(), debits=books().debits[:1]),
    ),
    "a refund is given twice": spoilt(
        "I2",
        "B: 2 refunds",
        kept=said_by("paiement", "B:paiement.rembourse"),
    ),
    "an order waits for ever": spoilt("I3", "A: still en_attente", kept=order("A", "en_attente")),
    "an order that was confirmed to the client is unknown": spoilt(
        "I3",
        "never heard of it",
        kept=replace(books(), commandes={k: v for k, v in books().commandes.items() if k != "A"}),
    ),
    "an undoing is not answered": spoilt(
        "I3", "B: cancelled, and stock never answered", kept=said_by("stock", without="B:stock.libere")
    ),
    "the customer is told nothing": spoilt(
        "I3", "A: the customer was told nothing", kept=said_by("notification", without="A:notification.envoyee")
    ),
    "an order is created twice": spoilt("I4", "A: 2 events", kept=said_by("commande", "A:commande.creee")),
    "an order is cancelled twice, which only the history remembers": spoilt(
        "I4",
        "B: 2 events",
        past=replace(
            history(),
            spoken=(
                *history().spoken,
                Spoken("commande.events", "commande.annulee", body("B", "commande.annulee", "X")),
            ),
        ),
    ),
    "a created order's goods are only held": spoilt(
        "I5",
        "A: created, with retenue",
        kept=replace(shelf(8, 2, 0), reservations=(Reservation("A", "P", 2, "retenue"), books().reservations[1])),
    ),
    "a created order is not paid": spoilt(
        "I5",
        "not paid",
        kept=replace(books(), debits=books().debits[1:]),
    ),
    "a cancelled order still holds goods": spoilt(
        "I5",
        "B: annulee, with retenue",
        kept=replace(shelf(5, 3, 2), reservations=(books().reservations[0], Reservation("B", "P", 3, "retenue"))),
    ),
    "goods are held for an order that nobody knows": spoilt(
        "I5",
        "Z: inconnue",
        kept=replace(books(), reservations=(*books().reservations, Reservation("Z", "P", 1, "retenue"))),
    ),
    "a service answers the same event twice": spoilt(
        "I7",
        "stock said 2 times",
        kept=with_outbox(
            books(),
            "stock",
            [*books().of("stock").outbox, decided("A", "stock.reserve", event_id="other")],
        ),
    ),
    "an order is held twice": spoilt(
        "I7",
        "A: 2 reservations",
        kept=replace(books(), reservations=(*books().reservations, Reservation("A", "P", 0, "liberee"))),
    ),
    "a message leaves twice": spoilt(
        "I7",
        "A: 2 messages confirmation",
        kept=replace(books(), envois=(*books().envois, Envoi("A", "confirmation"))),
    ),
    "an order pays less than it costs and another as much more": spoilt(
        "I2",
        "A: cost 9.99, 1.99 was taken",
        kept=replace(
            order("D", "creee"),
            debits=(
                Debit("A", "K", Decimal("1.99"), "pris"),
                books().debits[1],
                Debit("D", "K", Decimal("17.99"), "pris"),
            ),
            comptes={"K": Compte(Decimal("100.00"), Decimal("80.02"))},
        ),
    ),
    "a card is charged twice": spoilt(
        "I2",
        "A: charged 2 times",
        past=replace(history(), charges=(*history().charges, Charge("other:A", "A", Decimal("9.99")))),
    ),
    "a card is charged another amount": spoilt(
        "I2",
        "A: the gateway holds 9.90",
        past=replace(history(), charges=(Charge("K:A", "A", Decimal("9.90")),)),
    ),
    "a charge that was not wanted is never taken back": spoilt(
        "I2",
        "B: the gateway holds 5.00, the books say 0",
        past=replace(history(), charges=(history().charges[0], replace(history().charges[1], taken_back=False))),
    ),
    "the gateway knows of no charge": spoilt(
        "I2",
        "A: the gateway holds 0",
        past=replace(history(), charges=()),
    ),
    "two mails leave for one message": spoilt(
        "I7",
        "A: 2 messages confirmation",
        past=replace(history(), mails=(*history().mails, Mail("A", "confirmation"))),
    ),
    "a mail leaves that nobody noted": spoilt(
        "I7",
        "C: the message confirmation is left, and is noted nowhere",
        past=replace(history(), mails=(*history().mails, Mail("C", "confirmation"))),
    ),
    "a message is noted and never leaves": spoilt(
        "I7",
        "A: the message confirmation is noted, and never left",
        past=replace(history(), mails=history().mails[1:]),
    ),
    "a confirmation leaves beside the cancellation": spoilt(
        "I7",
        "C: a confirmation left, and then no correction",
        past=replace(history(), mails=(*history().mails, Mail("C", "confirmation"))),
    ),
    "a step is given up and its refusal is never said": spoilt(
        "I3",
        "A: paiement gave up stock.reserve and never said paiement.echoue",
        past=replace(history(), letters=(*history().letters, GIVEN_UP)),
    ),
    "an order whose step was given up is never cancelled": spoilt(
        "I3",
        "A: still en_attente",
        past=replace(history(), letters=(*history().letters, GIVEN_UP)),
        kept=order("A", "en_attente"),
    ),
}
