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
    account,
    as_data,
    as_text,
    load,
    replay,
    save,
    simulate,
    told_of,
)
from choregraphie.simulator.databases import Books
from choregraphie.simulator.exhaustive import Found, Search
from choregraphie.simulator.exhaustive_report import as_told, search_all
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.run import Outcome, walk
from choregraphie.simulator.scenario import Scenario, Scope
from choregraphie.simulator.shrink import shrink
from choregraphie.simulator.workload import Plan

__all__ = [
    "Books",
    "Campaign",
    "FinalState",
    "Found",
    "Outcome",
    "Plan",
    "Scenario",
    "Scope",
    "Search",
    "account",
    "as_data",
    "as_text",
    "as_told",
    "load",
    "replay",
    "save",
    "search_all",
    "shrink",
    "simulate",
    "told_of",
    "walk",
]
