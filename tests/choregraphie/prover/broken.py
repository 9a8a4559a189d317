"""Broken choreographies, made from the shipped one: each violates one rule."""

from collections.abc import Iterator
from dataclasses import replace

from choregraphie.prover import Rule
from choregraphie.saga.choreography import Choreography, Deadline, Reaction, Step
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockReservationEchouee, StockReserve
from tests.choregraphie.prover.altered import (
    CANCELS,
    RECALLED,
    REFUSED,
    REFUSED_PARCEL,
    ExpeditionPartie,
    ExpeditionRappelee,
    FactureEmise,
    changed,
    delivering,
    plus,
    step,
    without,
)
from tests.choregraphie.prover.declared import DECLARED, Broken


def _run() -> Iterator[Broken]:
    """Violations that only the runs show."""
    yield Broken(
        "two services that wait for each other",
        Rule.REACHABLE,
        _waiting_for_each_other(),
        "waits for facture.emise, which facturation would say, and no run gets there",
        0,
    )
    retried = plus(Reaction("stock", PaiementEchoue, (StockReserve, REFUSED), refusal=REFUSED))
    yield Broken(
        "a step that is tried again when the next one refuses",
        Rule.CYCLE,
        changed("stock", CommandeAnnulee, retried, undoes=(CommandeInitiee, CommandeCreee, PaiementEchoue)),
        "the second time, paiement has reacted already and says nothing",
        4,
    )
    yield Broken(
        "a step that gives up and says nothing",
        Rule.GIVES_UP,
        changed("stock", CommandeInitiee, refusal=None),
        "stock, hearing commande.initiee, can give up before the decision",
        2,
    )
    yield Broken(
        "a creation that no run comes to",
        Rule.REACHABLE,
        changed("commande", StockReservationEchouee, says=(CommandeCreee, CommandeAnnulee)),
        "hearing stock.reservation_echouee, is declared to say commande.creee, and no run gets there",
        3,
    )
    yield Broken(
        "a decision that cannot be undone",
        Rule.IRREVERSIBLE,
        changed("commande", CommandeInitiee, irreversible=True),
        "what commande does on commande.initiee cannot be undone",
        2,
    )
    yield Broken("no deadline", Rule.DEADLINE, replace(CHOREOGRAPHY, timed=()), "no deadline of its own", 2)
    yield Broken(
        "a clock that never starts",
        Rule.DEADLINE,
        without("commande", CommandeInitiee),
        "no deadline of its own",
        1,
    )
    yield Broken(
        "a clock that waits for the payment",
        Rule.DEADLINE,
        replace(CHOREOGRAPHY, timed=(Deadline("commande", (CommandeAnnulee,), after=(PaiementEffectue,)),)),
        "no deadline of its own",
        2,
    )
    yield Broken(
        "a clock that only the order itself starts",
        Rule.DEADLINE,
        replace(CHOREOGRAPHY, timed=(Deadline("commande", (CommandeAnnulee,), after=(CommandeInitiee,)),)),
        "no deadline of its own",
        3,
    )
    parcel = Reaction(
        "expedition", StockReserve, (ExpeditionPartie, REFUSED_PARCEL), refusal=REFUSED_PARCEL, irreversible=True
    )
    yield Broken(
        "a parcel that leaves before the order is created",
        Rule.IRREVERSIBLE,
        delivering(parcel, CANCELS, after=StockReserve, refusal=REFUSED_PARCEL),
        "cannot be undone, and the order may still be refused",
        3,
    )
    late = Reaction("expedition", CommandeCreee, (ExpeditionPartie, REFUSED_PARCEL), refusal=REFUSED_PARCEL)
    told = Reaction("notification", REFUSED_PARCEL, (NotificationEnvoyee,), irreversible=True)
    corrected = changed(
        "notification",
        CommandeAnnulee,
        delivering(late, RECALLED, undone=ExpeditionRappelee, refusal=REFUSED_PARCEL),
        undoes=(CommandeCreee, REFUSED_PARCEL),
    )
    yield Broken(
        "a refusal after the creation that the decider does not heed",
        Rule.ENDS,
        plus(told, base=corrected),
        "the order ends created, and expedition.partie is never said",
        None,
    )


def _left_behind() -> Iterator[Broken]:
    """Reactions that are never undone."""
    yield Broken(
        "a first step that hears no cancellation",
        Rule.UNDONE,
        step("stock", without("stock", CommandeAnnulee), undone=None),
        "stock does not hear commande.annulee, and what stock does on commande.initiee is never undone",
        4,
    )
    yield Broken(
        "a second step that hears no cancellation",
        Rule.UNDONE,
        step("paiement", without("paiement", CommandeAnnulee), undone=None),
        "paiement does not hear commande.annulee",
        5,
    )
    yield Broken(
        "a sale that overtakes its cancellation",
        Rule.UNDONE,
        changed("stock", CommandeAnnulee, undoes=(CommandeInitiee,)),
        "what stock does on commande.creee is not among what that undoes",
        9,
    )
    yield Broken(
        "an undoing that undoes nothing",
        Rule.UNDONE,
        changed("stock", CommandeAnnulee, undoes=()),
        "what stock does on commande.initiee is not among what that undoes",
        5,
    )
    yield Broken(
        "a message that is not corrected",
        Rule.UNDONE,
        without("notification", CommandeAnnulee),
        "notification does not hear commande.annulee",
        8,
    )
    parcel = Reaction("expedition", CommandeCreee, (ExpeditionPartie,), irreversible=True)
    yield Broken(
        "a parcel that no service recalls",
        Rule.UNDONE,
        delivering(parcel),
        "expedition does not hear commande.annulee",
        8,
    )


def _waiting_for_each_other() -> Choreography:
    other = Reaction("facturation", ExpeditionPartie, (FactureEmise,))
    base = delivering(Reaction("expedition", FactureEmise, (ExpeditionPartie,)), other, after=FactureEmise)
    return replace(base, steps=(*base.steps, Step("facturation", ExpeditionPartie, FactureEmise)))


BROKEN = (*DECLARED, *_run(), *_left_behind())
