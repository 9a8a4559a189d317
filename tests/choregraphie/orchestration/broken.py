"""Orchestrations that are not sound, with what the refusal says, and what SPIN can see of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from choregraphie.orchestration import Notice, Step
from choregraphie.saga.fields import Identifier, Reason
from tests.choregraphie.orchestration.sample_saga import (
    DOSSIER,
    LETTRE,
    PAIEMENT,
    STEPS,
    TRAIN,
    booking,
    command,
    event,
    sejours,
)

if TYPE_CHECKING:
    from choregraphie.orchestration import Orchestration


_NOTED = event("guide.note", "guide")


def _with_number(**changes: Any) -> Step:
    """The payment, whose success gives a number."""
    step: Step = replace(PAIEMENT, success=event("paiement.reserve", "paiement", numero=Identifier), **changes)
    return step


WITHOUT_UNDOING = replace(PAIEMENT, undoing=None, undone=None)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a compensable step without an undoing": (
        {"steps": (WITHOUT_UNDOING, DOSSIER)},
        "step paiement has no undoing, and a later step may refuse; give undoing= and undone=, or put it after",
    ),
    "a timeout without an answer": (
        {"steps": (replace(WITHOUT_UNDOING, timeout=5.0), DOSSIER)},
        "step paiement has no undoing, and a timeout needs an answer",
    ),
    "a refusal after the pivot": (
        {"steps": (DOSSIER, replace(LETTRE, refusal=event("lettre.refusee", "lettre")))},
        "step lettre comes after the pivot and may refuse with lettre.refusee",
    ),
    "an undoing after the pivot": ({"steps": (DOSSIER, PAIEMENT)}, "step paiement comes after the pivot"),
    "two steps of one name": (
        {"steps": (PAIEMENT, replace(TRAIN, name="paiement"), DOSSIER)},
        "2 steps are named",
    ),
    "one answer of two steps": (
        {"steps": (PAIEMENT, replace(booking("train"), success=PAIEMENT.success), DOSSIER)},
        "paiement.reserve answers 2 steps",
    ),
    "no pivot": ({"steps": (PAIEMENT,)}, "exactly one step creates the instance, and none is declared so"),
    "no step": ({"steps": ()}, "it has no step"),
    "a pivot in parallel": ({"steps": ((PAIEMENT, DOSSIER),)}, "step dossier: the pivot runs in parallel"),
    "half an undoing": ({"steps": (replace(PAIEMENT, undone=None), DOSSIER)}, "has undoing= and no undone="),
    "a timeout in the past": ({"steps": (replace(PAIEMENT, timeout=0.0), DOSSIER)}, "a timeout of 0.0 s"),
    "a delay without tries": ({"steps": (booking("paiement", delay=1.0), DOSSIER)}, "has delay=1.0 and no tries="),
    "a last try after the timeout": (
        {"steps": (replace(PAIEMENT, tries=3, delay=2.5, timeout=5.0), DOSSIER)},
        "its last try may begin 5.0 s after the first, and its timeout is 5.0 s",
    ),
    "no try": ({"steps": (replace(PAIEMENT, tries=0), DOSSIER)}, "0 tries carry nothing out"),
    "a pivot that refuses without cancelling": (
        {"steps": (replace(DOSSIER, refusal=event("dossier.refuse", "dossier")),)},
        "the pivot refuses by cancelling; give refusal=DossierAnnule",
    ),
    "a pivot without an undoing": (
        {"steps": (replace(DOSSIER, refusal=None, undoing=None, undone=None),)},
        "the pivot has no undoing, which cancels the instance",
    ),
    "a command of another": (
        {"steps": (replace(PAIEMENT, command=event("paiement.reserver", "dehors", "paiement")), DOSSIER)},
        "paiement.reserver is said by dehors; give it SAID_BY = 'guide'",
    ),
    "a command to nobody": (
        {"steps": (replace(PAIEMENT, command=event("paiement.reserver", "guide")), DOSSIER)},
        "the command paiement.reserver names no service; give PaiementReserver a SAID_TO",
    ),
    "a command twice": (
        {"steps": STEPS, "on_created": (Notice(LETTRE.command),)},
        "the command lettre.envoyer is declared 2 times",
    ),
    "an answer of another service": (
        {"steps": (replace(PAIEMENT, success=event("paiement.reserve", "banque")), DOSSIER)},
        "step paiement is for paiement, and paiement.reserve is said by banque",
    ),
    "a field that nothing gives": (
        {"steps": (replace(PAIEMENT, command=command("paiement.reserver", carte=Identifier)), DOSSIER)},
        "step paiement: paiement.reserver needs carte, which no event before it gives",
    ),
    "an undoing that needs the success of its step": (
        {"steps": (_with_number(undoing=command("paiement.annuler", numero=Identifier)), DOSSIER)},
        "step paiement: paiement.annuler needs numero, which no event before it gives",
    ),
    "a notice of the cancellation that needs the success of a step": (
        {
            "steps": (_with_number(), DOSSIER),
            "on_cancelled": (Notice(command("lettre.prevenir", numero=Identifier)),),
        },
        "lettre.prevenir needs numero, which no event before it gives",
    ),
    "a notice of the creation that needs what only a cancellation gives": (
        {"steps": STEPS, "on_created": (Notice(command("lettre.prevenir", raison=Reason)),), "on_cancelled": ()},
        "lettre.prevenir needs raison, which no event before it gives",
    ),
    "a step beside the pivot that the orchestrator settles itself": (
        {"steps": (replace(PAIEMENT, command=_NOTED, success=_NOTED, refusal=None), DOSSIER)},
        "step paiement: the orchestrator itself settles the pivot alone; give a command with a SAID_TO",
    ),
    "a pivot of the orchestrator that is cancelled by another event": (
        {"steps": (PAIEMENT, replace(DOSSIER, command=_NOTED, success=_NOTED, refusal=None))},
        "step dossier: the orchestrator cancels by saying so; give undoing=DossierAnnule",
    ),
}


_NO_DATA = "the model has no data; the runs are the same"
# Why no run shows what is wrong.
UNSEEN = {
    "two steps of one name": "a name only tells steps apart; the runs are the same",
    "no pivot": "nothing decides, so there is nothing to model",
    "no step": "there is nothing to model",
    "a timeout in the past": "the model has no times: an answer may be too late at any moment",
    "a delay without tries": "the model has no times",
    "a last try after the timeout": "the model has no times",
    "no try": "the model counts no tries: a command may be given up at any moment",
    "a pivot that refuses without cancelling": "the orchestrator cancels when it hears the refusal",
    "a pivot without an undoing": "nothing cancels, so there is nothing to model",
    "a field that nothing gives": _NO_DATA,
    "an undoing that needs the success of its step": _NO_DATA,
    "a notice of the cancellation that needs the success of a step": _NO_DATA,
    "a notice of the creation that needs what only a cancellation gives": _NO_DATA,
}
# Those of which there is no model.
NO_MODEL = {"no pivot", "no step", "a pivot without an undoing"}


def unchecked(name: str) -> Orchestration:
    """That declaration, although it is refused."""
    with patch("choregraphie.orchestration.declaration.problems", return_value=()):
        return sejours(**BAD[name][0])
