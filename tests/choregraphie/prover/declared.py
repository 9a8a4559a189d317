"""Broken choreographies whose declaration alone shows the violation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from choregraphie.prover import Rule
from choregraphie.saga.choreography import Choreography, Deadline, Reaction
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve
from tests.choregraphie.prover.altered import (
    ExpeditionPartie,
    changed,
    plus,
    step,
    without,
)


@dataclass(frozen=True)
class Broken:
    """A broken choreography.

    `says` is part of the message; `length` is that of the shortest counter-example, None when it grows with every
    service that still has an event to say. `unseen`: why no run shows the violation, so that SPIN cannot see it.
    """

    name: str
    rule: Rule
    choreography: Choreography
    says: str
    length: int | None
    unseen: str = ""


NAMES_ONLY = "a step only names events; the runs are the same"


def _declared() -> Iterator[Broken]:
    """Violations of the declaration itself."""
    yield Broken(
        "a step with another's refusal",
        Rule.STEPS,
        step("paiement", refusal=StockReservationEchouee),
        "never says its step's refusal, stock.reservation_echouee",
        3,
        NAMES_ONLY,
    )
    yield Broken(
        "an undoing that the step does not name",
        Rule.STEPS,
        step("stock", undone=None),
        "no service would wait for it",
        4,
    )
    yield Broken(
        "an undoing that only the step names",
        Rule.STEPS,
        without("stock", CommandeAnnulee),
        "is undone by stock.libere, and none of its reactions is that undoing",
        2,
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
        "a correction without an answer",
        Rule.ANSWERS,
        changed("notification", CommandeAnnulee, says=()),
        "undoes and says nothing",
        4,
    )
    yield Broken(
        "an undoing that waits for another undoing",
        Rule.ANSWERS,
        changed(
            "paiement", CommandeAnnulee, replace(CHOREOGRAPHY, final=CHOREOGRAPHY.final[1:]), hears=StockLibere
        ),
        "without having heard commande.annulee",
        5,
    )


def _unheeded() -> Iterator[Broken]:
    """Undoings without a proper answer."""
    yield Broken(
        "a demand to cancel that nobody hears",
        Rule.HEARD,
        without("commande", CommandeAnnulationDemandee),
        "commande.annulation_demandee is said by client, and nobody hears it",
        2,
    )
    yield Broken(
        "a refusal that is declared final",
        Rule.HEARD,
        replace(
            without("commande", PaiementEchoue),
            final=(*CHOREOGRAPHY.final, PaiementEchoue),
        ),
        "paiement.echoue is said by paiement, and nobody hears it",
        3,
    )
    yield Broken(
        "a final event that nobody says",
        Rule.SAID,
        replace(CHOREOGRAPHY, final=(*CHOREOGRAPHY.final, ExpeditionPartie)),
        "expedition.partie is declared final, and nobody says it",
        0,
        "nobody waits for the last event of a branch; the runs are the same",
    )
    for service, hears, when in (("stock", CommandeInitiee, 4), ("paiement", StockReserve, 4)):
        yield Broken(
            f"a compensation of {service} that nobody waits for",
            Rule.ANSWERS,
            step(service, changed(service, CommandeAnnulee, undoing=False), undone=None),
            f"takes back what was done on {hears.TYPE}",
            when,
        )
    yield Broken(
        "a refusal that the step does not name",
        Rule.STEPS,
        step("paiement", refusal=None),
        "may answer stock.reserve with paiement.echoue, and its step names another end: no refusal",
        3,
        NAMES_ONLY,
    )
    yield Broken(
        "a reaction declared twice",
        Rule.STEPS,
        plus(next(CHOREOGRAPHY.heard_by("stock"))),
        "stock is declared 2 times to hear commande.initiee",
        2,
        "both have the same transitions; the runs are the same",
    )
    for name, says in (("without an answer", ()), ("with a creation", (CommandeCreee,))):
        yield Broken(
            f"a refusal that the decider hears {name}",
            Rule.DECIDES,
            changed("commande", PaiementEchoue, says=says, decision=bool(says)),
            "commande hears paiement.echoue, a refusal, and never cancels for it",
            4,
        )
    yield Broken(
        "a clock that creates",
        Rule.DECIDES,
        replace(CHOREOGRAPHY, timed=(Deadline("commande", (CommandeCreee,), after=(CommandeInitiee,)),)),
        "a deadline can only cancel",
        0,
    )
    yield Broken(
        "a clock that says another's event",
        Rule.SENDER,
        replace(
            CHOREOGRAPHY,
            timed=(*CHOREOGRAPHY.timed, Deadline("stock", (PaiementEchoue,), after=(CommandeInitiee,))),
        ),
        "the clock of stock says paiement.echoue, which is paiement's to say",
        0,
    )


DECLARED = (*_declared(), *_unheeded())
