"""I9, a pure function like the other checkers: what the monitor says, live and built anew, and what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.checkers import CANCELLED, CREATED, excused
from tests.chaos.verdicts import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.books import Books
    from tests.chaos.history import History, Told

STATES = {CREATED: "COMPLETED", CANCELLED: "COMPENSATED"}
MOST = 5


def monitor(history: History, books: Books) -> Iterator[Violation]:
    """I9. A projection rebuilt from the first offset equals the live one, and both say what the books say.

    A stream that has lost entries with its broker says less than the live monitor heard, never something else.
    """
    live, anew = history.live, history.anew
    if live is None or anew is None or not live.states:
        yield Violation("I9", "could not tell: no monitor")
        return
    yield from _strange(live, anew, complete=history.complete)
    needing = excused(history)
    for told, which in ((live, "live"), (anew, "anew")) if history.complete else ():
        for order, commande in books.commandes.items():
            wanted = STATES.get(commande.etat)
            if wanted and order not in needing and told.states.get(order) != wanted:
                yield Violation(
                    "I9", f"{order}: {commande.etat}, and the monitor ({which}) says {told.states.get(order)}"
                )


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
