"""A saga with a join, sound and broken: the payment waits for goods and parcel, which are prepared in parallel."""

from dataclasses import replace

from choregraphie.prover import Rule
from choregraphie.saga.choreography import Choreography, Reaction
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee
from contracts.paiement import PaiementEffectue
from contracts.stock import StockReserve
from tests.choregraphie.prover.altered import (
    CANCELS,
    RECALLED,
    ExpeditionPartie,
    ExpeditionRappelee,
    ExpeditionRatee,
    changed,
    delivering,
    step,
)

BOTH = (StockReserve, ExpeditionPartie)


def _joined() -> Choreography:
    prepares = Reaction("expedition", CommandeInitiee, (ExpeditionPartie, ExpeditionRatee), ExpeditionRatee)
    recalls = replace(RECALLED, undoes=(CommandeInitiee,))
    base = delivering(
        prepares, CANCELS, recalls, after=CommandeInitiee, refusal=ExpeditionRatee, undone=ExpeditionRappelee
    )
    base = replace(base, final=tuple(event for event in base.final if event is not ExpeditionPartie))
    base = changed("paiement", CommandeAnnulee, base, undoes=BOTH)
    return step("paiement", changed("paiement", StockReserve, base, hears=BOTH), after=BOTH)


JOINED = _joined()


def _paying(**how: object) -> Choreography:
    reactions = (replace(r, **how) if r.awaits == BOTH else r for r in JOINED.reactions)  # type: ignore[arg-type]
    return replace(JOINED, reactions=tuple(reactions))


# Each with the rule that it breaks.
BROKEN_JOINS = {
    "an undoing that leaves the join": (changed("paiement", CommandeAnnulee, JOINED, undoes=()), Rule.UNDONE),
    "a join that gives up and says nothing": (_paying(refusal=None, says=(PaiementEffectue,)), Rule.GIVES_UP),
    "a join of which one event is never said": (
        changed("expedition", CommandeInitiee, JOINED, says=(ExpeditionRatee,)),
        Rule.SAID,
    ),
    "a join of an event and of what follows from the join": (
        _paying(hears=(StockReserve, PaiementEffectue)),
        Rule.REACHABLE,
    ),
}
