"""A choreography that an orchestrator would change is not derived: one line says why, and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.orchestration import BadOrchestration, derived
from choregraphie.saga.choreography import Step
from choregraphie.service.service import Service
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from voyage.application import APP as VOYAGE
from voyage.choreography import CHOREOGRAPHY as VOYAGES
from voyage.events import VolAnnule, VolReserve

if TYPE_CHECKING:
    from choregraphie.saga.choreography import Choreography

VOL = VOYAGES.steps[0]
NOT_DERIVED: dict[str, tuple[Choreography, dict[str, Service], str]] = {
    "a decider with rules of its own": (
        CHOREOGRAPHY,
        APP.by_name,
        "deriving commande: commande decides by rules of its own, which an orchestrator does not have; write its"
        " Orchestration and its commands by hand",
    ),
    "a service of others": (
        VOYAGES,
        VOYAGE.by_name | {"vol": Service("vol", foreign=True)},
        "vol is run by others, who must hear commands first",
    ),
    "a step without an undoing": (
        replace(VOYAGES, steps=(replace(VOL, undone=None), *VOYAGES.steps[1:])),
        VOYAGE.by_name,
        "the step vol has no undoing; give it undone= or let it come after voyage.confirme",
    ),
    "a step that nothing awaits": (
        replace(VOYAGES, steps=(*VOYAGES.steps, Step("vol", VolReserve, VolAnnule, name="autre"))),
        VOYAGE.by_name,
        "agence does not wait for autre, and an orchestrator would",
    ),
}


@pytest.mark.parametrize(("saga", "services", "said"), NOT_DERIVED.values(), ids=NOT_DERIVED)
def test_it_is_refused(saga: Choreography, services: dict[str, Service], said: str) -> None:
    with pytest.raises(BadOrchestration) as refused:
        derived(saga, services)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_field_that_only_the_decider_knew_must_be_given() -> None:
    with pytest.raises(BadOrchestration, match="needs confirme, which no event before it gives"):
        derived(VOYAGES, VOYAGE.by_name)
