"""The order saga for the simulator.

workload     what its clients do, and the small scopes of the exhaustive search
externals    the card gateway and the mail carrier, simulated
final_state  what a run leaves
invariants   what must hold at its end
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from choregraphie.simulator import Databases, Scenario
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.trace import Trace
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from services.scenario.externals import Carrier, Gateway, InstantExternals
from services.scenario.final_state import OrderFinalState
from services.scenario.invariants import violations
from services.scenario.workload import SCOPES, message_of, plan, read_action


def _externals(randomness: Randomness, trace: Trace) -> Mapping[str, Any]:
    return {"paiement": Gateway(randomness, trace), "notification": Carrier(randomness, trace)}


def _outside_of(externals: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"charged": dict(externals["paiement"].charged), "sent": dict(externals["notification"].sent)}


def _undecided(databases: Databases) -> int:
    # An order that the decider has not heard itself is decided only by a running deadline.
    return sum(
        row["etat"] == "en_attente" or (row["etat"] == "inconnue" and row["echeance"] is not None)
        for row in databases.rows(CHOREOGRAPHY.decider, "commandes")
    )


def _instances(state: OrderFinalState) -> int:
    return len(state.orders)


SCENARIO = Scenario(
    choreography=CHOREOGRAPHY,
    services=APP.declared,
    seed=Path(__file__).parent / "catalogue.toml",
    plan=plan,
    read_action=read_action,
    message_of=message_of,
    externals=_externals,
    instant_externals=InstantExternals,
    externals_content=_outside_of,
    final_state=OrderFinalState,
    violations=violations,
    undecided=_undecided,
    instances=_instances,
    scopes=SCOPES,
)

__all__ = ["SCENARIO", "SCOPES", "OrderFinalState", "message_of", "plan", "violations"]
