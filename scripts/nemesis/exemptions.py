"""Whom a message that was given up excuses, and whom it does not. Pure.

A step that gives up says its refusal, and its order is cancelled: that excuses nothing. What has no refusal (an
undoing, a decision, taking note), and what the broker threw out of a crash loop, leaves its order to a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.history import EXHAUSTED
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History, Letter

CREATED, CANCELLED, UNKNOWN = "creee", "annulee", "inconnue"


def given_up(history: History) -> Iterator[Letter]:
    """The genuine messages among the dead letters whose tries were exhausted, by us or by the broker."""
    known = {message.body for message in history.genuine}
    for letter in history.letters:
        genuine = letter.body in known or letter.facts.cause
        if genuine and letter.facts.commande_id and letter.reason in {EXHAUSTED, None}:
            yield letter


def refusal(letter: Letter) -> str | None:
    """What the service says in place of an answer when it gives that message up; None: it needs a person."""
    reaction = CHOREOGRAPHY.reaction(letter.service, letter.facts.type or "")
    if letter.reason != EXHAUSTED or reaction is None or reaction.refusal is None:
        return None
    return reaction.refusal.TYPE


def excused(history: History) -> frozenset[str]:
    """The orders that need a person, who is told so by a dead letter."""
    return frozenset(str(letter.facts.commande_id) for letter in given_up(history) if refusal(letter) is None)


def unrefused(history: History, books: Books) -> Iterator[Violation]:
    """The steps that were given up and whose refusal was never said, though nobody cancelled the order first."""
    for letter in given_up(history):
        order, wanted = str(letter.facts.commande_id), refusal(letter)
        said = {row.type for row in books.of(letter.service).outbox if row.commande_id == order}
        commande = books.commandes.get(order)
        if wanted and wanted not in said and not (commande and commande.etat == CANCELLED):
            yield Violation("I3", f"{order}: {letter.service} gave up {letter.facts.type} and never said {wanted}")
