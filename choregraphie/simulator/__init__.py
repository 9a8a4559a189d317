"""A saga under every fault, on virtual time: the real pipeline and services over a model of the broker.

scenario            what a saga tells the simulator     randomness   everything random, from one seed
clock               an event loop whose time jumps      broker_model a model of RabbitMQ (queues.py)
network, session    time and faults on the way          workers      workers that die and come back
workload, clients   what the clients do                 run          one run from beginning to end
final_state         what the invariants read            shrink       a failure made small
exhaustive          every order of steps of a small scope, instead of some orders of a large one
"""

from choregraphie.simulator.campaign import (
    Campaign,
    campaign_as_data,
    campaign_as_text,
    load,
    replay,
    run_as_data,
    run_as_text,
    save,
    search_all,
    search_as_data,
    simulate,
)
from choregraphie.simulator.databases import Databases
from choregraphie.simulator.exhaustive import Search, SearchResult
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.run import Outcome, run_plan
from choregraphie.simulator.scenario import Plan, Scenario, Scope
from choregraphie.simulator.shrink import shrink

__all__ = [
    "Campaign",
    "Databases",
    "FinalState",
    "Outcome",
    "Plan",
    "Scenario",
    "Scope",
    "Search",
    "SearchResult",
    "campaign_as_data",
    "campaign_as_text",
    "load",
    "replay",
    "run_as_data",
    "run_as_text",
    "run_plan",
    "save",
    "search_all",
    "search_as_data",
    "shrink",
    "simulate",
]
