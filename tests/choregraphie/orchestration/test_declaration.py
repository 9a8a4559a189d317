"""A declaration that is not sound is refused in one line that names the place and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from choregraphie.orchestration import BadOrchestration, exploration, wiring
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import topology
from tests.choregraphie.orchestration.broken import BAD
from tests.choregraphie.orchestration.sample_saga import (
    CHAMBRE,
    CONFIRME,
    SEJOURS,
    TRAIN,
    sejours,
)


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
