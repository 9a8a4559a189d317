"""The saga under every fault, on virtual time: the real pipeline and services over a model of the broker.

chance     everything random, from one seed           clock      an event loop whose time jumps
broker     a model of RabbitMQ (queues.py)            network    time and faults on the way (door.py)
crew       workers that die and come back             outside    a gateway and a carrier that fail
plan       what the clients do (clients.py)           walk       one run from beginning to end
oracle     the invariants, over the facts (facts.py)  shrink     a failure made small (story.py)
search     every order of steps of a small scope, instead of some orders of a large one
"""

from services.simulation.books import Books
from services.simulation.campaign import (
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
from services.simulation.facts import Facts
from services.simulation.plan import Plan, plan
from services.simulation.scopes import as_told, search_all
from services.simulation.search import Found, Scope, Search
from services.simulation.shrink import shrink
from services.simulation.walk import Outcome, walk

__all__ = [
    "Books",
    "Campaign",
    "Facts",
    "Found",
    "Outcome",
    "Plan",
    "Scope",
    "Search",
    "account",
    "as_data",
    "as_text",
    "as_told",
    "load",
    "plan",
    "replay",
    "save",
    "search_all",
    "shrink",
    "simulate",
    "told_of",
    "walk",
]
