"""Which orders an exhausted message exempts from the checks, and which not. Pure.

A step that exhausts its tries publishes its refusal, and its order is cancelled: no exemption. A message without a
refusal (an undoing, a decision), or one that the broker dead-lettered at its delivery limit, leaves its order to
a person: exempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis.history import EXHAUSTED
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Databases
    from scripts.nemesis.history import DeadLetter, History

CREATED, CANCELLED, UNKNOWN = "creee", "annulee", "inconnue"


def exhausted_messages(history: History) -> Iterator[DeadLetter]:
    """The genuine messages in the dead letters whose tries were exhausted, by us or by the broker."""
    known = {message.body for message in history.genuine}
    for dead_letter in history.dead_letters:
        genuine = dead_letter.body in known or dead_letter.fields.cause
        if genuine and dead_letter.fields.commande_id and dead_letter.reason in {EXHAUSTED, None}:
            yield dead_letter


def refusal(history: History, dead_letter: DeadLetter) -> str | None:
    """The refusal that the service publishes when it exhausts that message; None: the order needs a person."""
    reaction = history.saga.reaction(dead_letter.service, dead_letter.fields.type or "")
    if dead_letter.reason != EXHAUSTED or reaction is None or reaction.refusal is None:
        return None
    return reaction.refusal.TYPE


def orders_needing_a_person(history: History) -> frozenset[str]:
    """The orders that need a person, as a dead letter shows."""
    return frozenset(
        str(dead_letter.fields.commande_id)
        for dead_letter in exhausted_messages(history)
        if refusal(history, dead_letter) is None
    )


def missing_refusals(history: History, databases: Databases) -> Iterator[Violation]:
    """Exhausted steps whose refusal was never published, although the order was not cancelled before."""
    for dead_letter in exhausted_messages(history):
        order, expected = str(dead_letter.fields.commande_id), refusal(history, dead_letter)
        published = {row.type for row in databases.of(dead_letter.service).outbox if row.commande_id == order}
        commande = databases.commandes.get(order)
        if expected and expected not in published and not (commande and commande.etat == CANCELLED):
            yield Violation(
                "I3",
                f"{order}: {dead_letter.service} exhausted {dead_letter.fields.type} and never"
                f" published {expected}",
            )
