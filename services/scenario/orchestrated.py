"""The orchestrated order saga for the simulator: the same workload, externals and business invariants."""

from dataclasses import replace

from services.orchestration import ORCHESTRATED, WIRING
from services.scenario import SCENARIO as CHOREOGRAPHED
from services.scenario import WORKLOAD

SCENARIO = replace(
    CHOREOGRAPHED,
    choreography=WIRING,
    services=ORCHESTRATED.services,
    workload=replace(WORKLOAD, choreography=WIRING),
)
