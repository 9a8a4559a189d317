"""An outage of the card gateway that outlasts the retries: held, the orders are confirmed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from choregraphie import OutsideUnavailable, Service
from choregraphie.simulator import ClientAction, Databases, Plan, run_plan
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.scenario import RunParameters, run_parameters
from services.scenario import SCENARIO
from services.scenario.externals import Carrier, Gateway, Reponse

# Every ladder of a run is shorter, and some deadlines are longer.
OUTAGE_SECONDS = 4.0
ORDERS = 12
SERVICES = [service.name for service in SCENARIO.services]


class GatewayAway(Gateway):
    """The gateway of a run, down for its first seconds."""

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        if asyncio.get_running_loop().time() < OUTAGE_SECONDS:
            raise OutsideUnavailable("nobody is there")
        return await super().debiter(cle, client_id, montant)


def seeds(fits: Callable[[RunParameters], bool]) -> Iterator[int]:
    """Seeds whose runs have long deadlines and several retries, and parameters that fit.

    The calls that fail before a worker's breaker opens use tries, so with one retry an order may run out of them.
    """
    found = ((seed, run_parameters(seed, SERVICES)) for seed in range(1000))
    long = ((seed, one) for seed, one in found if len(one.retry_delays) == 3)
    return (seed for seed, one in long if one.deadline > 2 * OUTAGE_SECONDS - 1 and fits(one))


def states(seed: int, change: Callable[[Service], Service] = lambda service: service) -> list[set[str]]:
    """What each order has come to in a run where nothing else fails."""
    scenario = replace(
        SCENARIO,
        services=tuple(map(change, SCENARIO.services)),
        externals=lambda r, trace: {"paiement": GatewayAway(r, trace), "notification": Carrier(r, trace)},
    )
    data = {"client_id": "CLIENT-1", "produit_id": "PROD-A", "quantite": 1, "montant": 1.00}
    actions = [ClientAction(n / ORDERS, "start", f"CMD-{n}", f"CMD-{n}-initiee", data) for n in range(ORDERS)]
    with closing(Databases(scenario)) as databases:
        outcome = run_plan(Plan(seed, tuple(actions), faults=()), databases)
    assert outcome.found == ()
    state: FinalState = outcome.final_state
    return [set(said) for said in state.said.values()]


def without_breakers(service: Service) -> Service:
    return replace(service, reactions=tuple(replace(one, breaker=None) for one in service.reactions))


@pytest.mark.parametrize("seed", [*seeds(lambda one: one.longest_hold > OUTAGE_SECONDS)][:4])
def test_orders_that_were_held_are_confirmed(seed: int) -> None:
    found = states(seed)
    assert len(found) == ORDERS
    assert all("commande.creee" in said for said in found)


@pytest.mark.parametrize("seed", [*seeds(lambda one: one.longest_hold < 1)][:2])
def test_after_the_longest_hold_the_retries_apply_and_the_orders_are_cancelled(seed: int) -> None:
    assert all({"paiement.echoue", "commande.annulee"} <= said for said in states(seed))


def test_without_a_breaker_the_same_outage_cancels_every_order() -> None:
    seed = next(seeds(lambda one: one.longest_hold > OUTAGE_SECONDS))
    assert all({"paiement.echoue", "commande.annulee"} <= said for said in states(seed, without_breakers))
