"""The order saga for the simulator: what its clients do, the world outside, what must hold at the end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from choregraphie.simulator import Books, Scenario
from choregraphie.simulator.randomness import Chance
from choregraphie.simulator.trace import Diary
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from services.scenario.externals import Carrier, Gateway
from services.scenario.final_state import OrderFinalState
from services.scenario.instant_externals import Outside
from services.scenario.invariants import violations
from services.scenario.scopes import SCOPES
from services.scenario.workload import message_of, plan, read_act


def _externals(chance: Chance, diary: Diary) -> Mapping[str, Any]:
    return {"paiement": Gateway(chance, diary), "notification": Carrier(chance, diary)}


def _outside_of(externals: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"charged": dict(externals["paiement"].charged), "sent": dict(externals["notification"].sent)}


def _undecided(books: Books) -> int:
    return books.count(CHOREOGRAPHY.decider, "SELECT count(*) FROM commandes WHERE etat = 'en_attente'")


def _instances(state: OrderFinalState) -> int:
    return len(state.orders)


SCENARIO = Scenario(
    choreography=CHOREOGRAPHY,
    services=APP.declared,
    seed=Path(__file__).parent / "catalogue.toml",
    plan=plan,
    read_act=read_act,
    message_of=message_of,
    externals=_externals,
    instant_externals=Outside,
    outside_of=_outside_of,
    final_state=OrderFinalState,
    violations=violations,
    undecided=_undecided,
    instances=_instances,
    scopes=SCOPES,
)

__all__ = ["SCENARIO", "SCOPES", "OrderFinalState", "message_of", "plan", "violations"]
