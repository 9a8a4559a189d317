"""The voyage orchestrated, derived from its choreography: the agency becomes the orchestrator."""

from collections.abc import Iterator
from dataclasses import replace

from choregraphie.orchestration import derived, orchestrator, wiring
from choregraphie.simulator import FinalState
from voyage.application import APP
from voyage.choreography import CHOREOGRAPHY
from voyage.scenario import SCENARIO as CHOREOGRAPHED
from voyage.scenario import WORKLOAD, disagreements

DERIVED = derived(
    CHOREOGRAPHY, APP.by_name, facts={"confirme": lambda voyage: CHOREOGRAPHY.decider in voyage.executed}
)
WIRING = wiring(DERIVED.orchestration)

ORCHESTRATED = replace(
    APP,
    sagas=(WIRING,),
    services=(*DERIVED.services, orchestrator(DERIVED.orchestration, canvas=__doc__)),
    orchestrated="",
    scenario="voyage.orchestrated:SCENARIO",
)


def agreement(state: FinalState) -> Iterator[str]:
    """A confirmed voyage has all that was booked and paid, and a cancelled one has nothing."""
    confirmed = {row["voyage_id"] for row in state.rows(*WIRING.table) if row["state"] == "COMPLETED"}
    yield from disagreements(state, confirmed)


SCENARIO = replace(
    CHOREOGRAPHED,
    choreography=WIRING,
    services=ORCHESTRATED.services,
    workload=replace(WORKLOAD, choreography=WIRING),
    business={**CHOREOGRAPHED.business, "V2 agreement": agreement},
)
