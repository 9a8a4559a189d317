"""Choreographies that are broken on purpose, each in one way, made from the shipped one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from contracts.choreography import CHOREOGRAPHY, Choreography, Reaction, Step, Timed
from contracts.client import CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve
from services.choreography import Rule
from tests.choreography.altered import (
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


@dataclass(frozen=True)
class Broken:
    """`says` is part of the sentence by which it is refused; `length` that of its shortest counter-example (None:
    it grows with every service that has something to say before the end)."""

    name: str
    rule: Rule
    choreography: Choreography
    says: str
    length: int | None


def _declared() -> Iterator[Broken]:
    """What the declaration itself shows."""
    yield Broken(
        "a step with another's refusal",
        Rule.STEPS,
        step("paiement", refusal=StockReservationEchouee),
        "never says its step's refusal, stock.reservation_echouee",
        3,
    )
    yield Broken(
        "an undoing that the step does not name",
        Rule.STEPS,
        step("stock", undone=None),
        "nobody would wait for it",
        4,
    )
    yield Broken(
        "a service without a step",
        Rule.STEPS,
        plus(
            Reaction("expedition", CommandeCreee, (ExpeditionPartie,)),
            base=replace(CHOREOGRAPHY, final=(*CHOREOGRAPHY.final, ExpeditionPartie)),
        ),
        "expedition reacts, and has no steps",
        6,
    )
    yield Broken(
        "a second decider",
        Rule.DECIDES,
        changed("paiement", StockReserve, says=(PaiementEffectue, PaiementEchoue, CommandeAnnulee)),
        "paiement, hearing stock.reserve, says commande.annulee: commande decides",
        3,
    )
    yield Broken(
        "a decision that is not declared one",
        Rule.DECIDES,
        changed("commande", PaiementEchoue, decision=False),
        "decides and is not declared a decision",
        4,
    )
    yield Broken(
        "a service that says another's event",
        Rule.SENDER,
        changed("stock", CommandeCreee, says=(NotificationEnvoyee,)),
        "stock says notification.envoyee, which is notification's to say",
        6,
    )
    yield Broken(
        "a refusal that nobody hears",
        Rule.HEARD,
        without("commande", PaiementEchoue),
        "paiement.echoue is said by paiement, and nobody hears it",
        3,
    )
    yield Broken(
        "a refusal that nobody says",
        Rule.SAID,
        step(
            "paiement",
            changed("paiement", StockReserve, says=(PaiementEffectue,), refusal=None),
            refusal=None,
        ),
        "commande hears paiement.echoue, and nobody says it",
        0,
    )
    yield Broken(
        "an undoing that may refuse",
        Rule.ANSWERS,
        changed("stock", CommandeAnnulee, refusal=StockLibere),
        "may refuse to undo",
        4,
    )
    yield Broken(
        "a correction in silence",
        Rule.ANSWERS,
        changed("notification", CommandeAnnulee, says=()),
        "undoes in silence",
        4,
    )
    yield Broken(
        "an undoing that waits for another undoing",
        Rule.ANSWERS,
        changed(
            "paiement", CommandeAnnulee, replace(CHOREOGRAPHY, final=CHOREOGRAPHY.final[1:]), hears=StockLibere
        ),
        "commande.annulee is what calls for it",
        5,
    )


def _run() -> Iterator[Broken]:
    """What only the runs show."""
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
        "the second time round, paiement has reacted already and stays silent",
        4,
    )
    yield Broken(
        "a step that gives up and says nothing",
        Rule.GIVES_UP,
        changed("stock", CommandeInitiee, refusal=None),
        "stock, hearing commande.initiee, can give up before the decision",
        2,
    )
    yield Broken("no deadline", Rule.DEADLINE, replace(CHOREOGRAPHY, timed=()), "no clock of its own", 2)
    yield Broken(
        "a clock that never starts", Rule.DEADLINE, without("commande", CommandeInitiee), "no clock of its own", 1
    )
    yield Broken(
        "a clock that waits for the payment",
        Rule.DEADLINE,
        replace(CHOREOGRAPHY, timed=(Timed("commande", (CommandeAnnulee,), after=(PaiementEffectue,)),)),
        "no clock of its own",
        2,
    )
    yield Broken(
        "a clock that only the order itself starts",
        Rule.DEADLINE,
        replace(CHOREOGRAPHY, timed=(Timed("commande", (CommandeAnnulee,), after=(CommandeInitiee,)),)),
        "no clock of its own",
        3,
    )
    parcel = Reaction(
        "expedition", StockReserve, (ExpeditionPartie, REFUSED_PARCEL), refusal=REFUSED_PARCEL, irreversible=True
    )
    yield Broken(
        "a parcel that leaves before the order is created",
        Rule.IRREVERSIBLE,
        delivering(parcel, CANCELS, after=StockReserve, refusal=REFUSED_PARCEL),
        "cannot be taken back, and the order may still be refused",
        3,
    )
    late = Reaction("expedition", CommandeCreee, (ExpeditionPartie, REFUSED_PARCEL), refusal=REFUSED_PARCEL)
    yield Broken(
        "a refusal after the creation that nobody heeds",
        Rule.ENDS,
        delivering(late, RECALLED, undone=ExpeditionRappelee, refusal=REFUSED_PARCEL),
        "the order ends created, and expedition.partie is never said",
        None,
    )


def _left_behind() -> Iterator[Broken]:
    """What is done and never undone."""
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
        "a message that is not corrected",
        Rule.UNDONE,
        without("notification", CommandeAnnulee),
        "notification does not hear commande.annulee",
        8,
    )
    parcel = Reaction("expedition", CommandeCreee, (ExpeditionPartie,), irreversible=True)
    yield Broken(
        "a parcel that nobody recalls",
        Rule.UNDONE,
        delivering(parcel),
        "expedition does not hear commande.annulee",
        8,
    )


def _waiting_for_each_other() -> Choreography:
    other = Reaction("facturation", ExpeditionPartie, (FactureEmise,))
    base = delivering(Reaction("expedition", FactureEmise, (ExpeditionPartie,)), other, after=FactureEmise)
    return replace(base, steps=(*base.steps, Step("facturation", ExpeditionPartie, FactureEmise)))


BROKEN = (*_declared(), *_run(), *_left_behind())
