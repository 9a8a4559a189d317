"""The order saga orchestrated, as an application: the same services by their second table, and an orchestrator."""

from dataclasses import replace

from choregraphie.orchestration import wiring
from services.application import APP
from services.orchestrateur import ORCHESTRATION
from services.orchestrateur import SERVICE as ORCHESTRATEUR

WIRING = wiring(ORCHESTRATION)

ORCHESTRATED = replace(
    APP,
    sagas=(WIRING,),
    services=(ORCHESTRATEUR, *(service.orchestrated() for service in APP.services)),
    orchestrated="",
    scenario="services.scenario.orchestrated:SCENARIO",
)
