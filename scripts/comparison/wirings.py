"""The two wirings of the order saga, as contenders of the benchmarks."""

from scripts.benchmarks.system.contenders import ROOT, Contender
from scripts.benchmarks.system.progress import DELIVERIES

CHOREOGRAPHY, ORCHESTRATION = "choreography", "orchestration"
ORCHESTRATOR = "orchestrateur"
# What handles an order that is created. The orchestrator hears the order, and four answers.
_DELIVERIES = {
    CHOREOGRAPHY: DELIVERIES,
    ORCHESTRATION: {**DELIVERIES, "commande": 1, ORCHESTRATOR: 5},
}
WIRINGS = tuple(
    Contender(kind, ROOT, {"SAGA_COORDINATION": kind}, deliveries=deliveries)
    for kind, deliveries in _DELIVERIES.items()
)
# The service that decides: without it no order is created.
DECIDERS = {CHOREOGRAPHY: "commande", ORCHESTRATION: ORCHESTRATOR}
