"""The simulator: the real pipeline and services in virtual time, over a model of the broker, under every fault.

scenario           what it is given for a saga, and the parameters of a seed
plan, workload     what the clients of a run do, and with which faults
run                one run from beginning to end; start reading here
clients, workers   who takes part: clients and operator; workers that crash and come back
network, session   latency and faults between them and the broker
broker_model       the model of RabbitMQ; its queues and streams are in queues
clock, randomness  virtual time; every draw follows from the seed
isolation          what is switched off during a run
databases          the services' databases, in memory
trace              what happened, for a person
final_state        what a run leaves
invariants         what must hold then, for any saga
campaign, shrink   many runs, and a failure made small
exhaustive         every order of the steps of a small scope, with stepper and interned_messages
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
from choregraphie.simulator.invariants import general_checks, violations_of
from choregraphie.simulator.plan import ClientAction, Plan, Scope
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.run import Outcome, run_plan
from choregraphie.simulator.scenario import Scenario
from choregraphie.simulator.shrink import shrink
from choregraphie.simulator.workload import Workload

__all__ = [
    "Campaign",
    "ClientAction",
    "Databases",
    "FinalState",
    "Outcome",
    "Plan",
    "Randomness",
    "Scenario",
    "Scope",
    "Search",
    "SearchResult",
    "Workload",
    "campaign_as_data",
    "campaign_as_text",
    "general_checks",
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
    "violations_of",
]
