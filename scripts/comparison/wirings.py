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
# Under a load, or while a service is killed, an answer may take longer than the declared timeout of five seconds.
# The choreography has none, so both get the same patience.
_PATIENT = {"SAGA_STEP_TIMEOUTS": "paiement=600"}
WIRINGS = tuple(
    Contender(kind, ROOT, {"SAGA_COORDINATION": kind, **_PATIENT}, deliveries=deliveries)
    for kind, deliveries in _DELIVERIES.items()
)
# The service that decides: without it no order is created.
DECIDERS = {CHOREOGRAPHY: "commande", ORCHESTRATION: ORCHESTRATOR}
