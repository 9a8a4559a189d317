"""I9, a pure function like the other checkers: what the monitor says, live and built anew, and what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.nemesis.delivery_checkers import wanted
from scripts.nemesis.exemptions import CANCELLED, CREATED, excused
from scripts.nemesis.order_checkers import disagreements, unended
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.nemesis.databases import Books
    from scripts.nemesis.history import History, Told

STATES = {CREATED: "COMPLETED", CANCELLED: "COMPENSATED"}
NEEDS_A_PERSON = "INTERVENTION"
STREAM = "saga.history"
MOST = 5


def monitor(history: History, books: Books) -> Iterator[Violation]:
    """I9. A projection rebuilt from the first offset equals the live one, and both say what the books say.

    A stream that has lost entries with its broker says less than the live monitor heard, never something else; of
    the orders whose events it still holds both say the truth. The monitor publishes nothing and takes from the
    stream alone.
    """
    live, anew = history.live, history.anew
    if live is None or anew is None or not live.states or not anew.states:
        yield Violation("I9", "could not tell: no monitor, or it knows nothing")
        return
    yield from _strange(live, anew, complete=history.complete)
    for told, which in ((live, "live"), (anew, "anew")):
        yield from _untrue(told, which, history, books)
    yield from _meddling(history)


def unjudged(history: History, books: Books) -> frozenset[str]:
    """The orders of which the stream does not hold every event: of them a monitor cannot say all."""
    absent = {event for event in wanted(history, books).values() if event.identity not in history.heard}
    lost = {event.commande_id for event in absent}
    told = {(entry.exchange, entry.body) for entry in history.spoken}
    letters = {x.facts.commande_id for x in history.letters if (f"{x.service}.dlx", x.body) not in told}
    return frozenset(order for order in lost | letters if order is not None)


def _untrue(told: Told, which: str, history: History, books: Books) -> Iterator[Violation]:
    left_out = frozenset() if history.complete else unjudged(history, books)
    needing = excused(history)
    wrong = (*unended(history, books), *disagreements(books))
    troubled = {order: problem for order, problem in wrong if order in needing}
    for order, commande in books.commandes.items():
        said, right = told.states.get(order), STATES.get(commande.etat)
        if right and said != right and order not in troubled and order not in left_out:
            yield Violation("I9", f"{order}: {commande.etat}, and the monitor ({which}) says {said}")
    for order, problem in troubled.items():
        if order not in left_out and NEEDS_A_PERSON not in told.flags.get(order, ()):
            yield Violation("I9", f"{order}: {problem}, and the monitor ({which}) calls for nobody")


def _strange(live: Told, anew: Told, *, complete: bool) -> Iterator[Violation]:
    differ = {
        "events": (live.events, anew.events),
        "dead letters": (live.letters, anew.letters),
        "orders": (frozenset(live.states.items()), frozenset(anew.states.items())),
    }
    if not complete:
        del differ["orders"]  # judged from fewer events, an order can stand elsewhere
    for what, (heard, again) in differ.items():
        odd = heard ^ again if complete else again - heard
        for one in sorted(odd, key=repr)[:MOST]:
            where = "live alone" if one in heard else "anew alone"
            yield Violation("I9", f"{what} known {where}: {one}")


def _meddling(history: History) -> Iterator[Violation]:
    if not any(STREAM in link.queues for link in history.links):
        yield Violation("I9", "could not tell: the broker knows of no monitor that reads the history")
    for link in history.links:
        if link.published:
            yield Violation("I9", f"the monitor published {link.published} messages")
        for queue in link.queues:
            if queue != STREAM:
                yield Violation("I9", f"the monitor takes from {queue}")
