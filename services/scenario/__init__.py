"""The order saga for the simulator.

workload     what its clients do, and the small scopes of the exhaustive search
externals    the card gateway and the mail carrier, simulated
final_state  what a run leaves
invariants   what must hold at its end, beside what must hold for any saga
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from choregraphie.simulator import Scenario
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.trace import Trace
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from services.scenario.externals import Carrier, Gateway, InstantExternals
from services.scenario.final_state import OrderFinalState
from services.scenario.invariants import CHECKS
from services.scenario.workload import SCOPES, WORKLOAD


def _externals(randomness: Randomness, trace: Trace) -> Mapping[str, Any]:
    return {"paiement": Gateway(randomness, trace), "notification": Carrier(randomness, trace)}


def _outside_of(externals: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"charged": dict(externals["paiement"].charged), "sent": dict(externals["notification"].sent)}


SCENARIO = Scenario(
    choreography=CHOREOGRAPHY,
    services=APP.services,
    seed=Path(__file__).parent / "catalogue.toml",
    workload=WORKLOAD,
    business=CHECKS,
    scopes=SCOPES,
    externals=_externals,
    instant_externals=InstantExternals,
    externals_content=_outside_of,
    final_state=OrderFinalState,
)

plan, message_of, violations = WORKLOAD.plan, WORKLOAD.message_of, SCENARIO.violations

__all__ = ["SCENARIO", "SCOPES", "WORKLOAD", "OrderFinalState", "message_of", "plan", "violations"]
