"""A declaration that is not sound is refused in one line that names the place and the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from choregraphie.orchestration import BadOrchestration, Notice, Step, exploration, wiring
from choregraphie.saga.fields import Identifier, Reason
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import topology
from tests.choregraphie.orchestration.sample_saga import (
    CHAMBRE,
    CONFIRME,
    DOSSIER,
    LETTRE,
    PAIEMENT,
    SEJOURS,
    STEPS,
    TRAIN,
    booking,
    command,
    event,
    sejours,
)

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


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_it_is_refused_with_place_and_remedy(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadOrchestration) as refused:
        sejours(**changes)
    assert str(refused.value).startswith("orchestration sejour: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_states_than_can_be_explored_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "MOST_STATES", 40)
    with pytest.raises(BadOrchestration) as refused:
        wiring(sejours())
    assert str(refused.value) == (
        "orchestration sejour: its runs pass through more than 40 states; let fewer steps run in parallel"
    )


def test_its_wiring_is_a_choreography_in_which_commands_have_exchanges_of_their_own() -> None:
    saga = wiring(SEJOURS)
    assert saga.services[0] == "guide"
    assert (saga.decider, saga.created) == ("dossier", CONFIRME)
    declared = topology(SagaSet((saga,)), (1.0,))
    exchanges = {exchange.name for exchange in declared.exchanges}
    assert {"train.commands", "lettre.commands", "train.events", "guide.events"} <= exchanges
    bound = {(binding.exchange, binding.key) for binding in declared.bindings if binding.queue == "train.inbox"}
    assert bound == {
        ("train.commands", "train.reserver"),
        ("train.commands", "train.annuler"),
        ("train.requeue", "#"),
    }
    history = {binding.exchange for binding in declared.bindings if binding.queue == "saga.history"}
    assert "train.commands" in history


def test_only_what_was_asked_must_be_undone() -> None:
    saga = wiring(SEJOURS)
    assert [step.name for step in saga.undoings_due({TRAIN.command.TYPE})] == ["train"]
    assert [step.name for step in saga.undoings_due({CHAMBRE.command.TYPE, "paiement.reserver"})] == [
        "chambre",
        "paiement",
    ]
