"""What the simulator needs to know of a saga: its clients, the world outside, its invariants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choregraphie.messaging import Outgoing
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.trace import Trace
from choregraphie.simulator.workload import Plan, ReadAction


@dataclass(frozen=True)
class Scope:
    """What the clients of an exhaustive search do: a handful of acts."""

    name: str
    actions: tuple[Any, ...]


@dataclass(frozen=True)
class Scenario:
    """A saga to simulate.

    seed                the TOML that fills the empty databases
    plan                seed and number of instances → what the clients do
    read_act            one act of a replay file → the act; raises TypeError or ValueError
    message_of          an act → the message that it publishes
    externals           randomness and trace → what the services' calls speak to, by service; with faults
    instant_externals   the same for one service of the exhaustive search: it answers at once and can be copied
    outside_of          externals by service → what the world outside holds, for the invariants
    final_state         the class that the invariants read
    violations          a final state → every invariant that does not hold, each with what was found
    undecided           databases → how many instances still wait for their decision
    instances           a final state → how many instances began
    scopes              what the exhaustive search covers
    """

    choreography: Choreography
    services: tuple[Service, ...]
    seed: Path
    plan: Callable[[int, int], Plan]
    read_action: ReadAction
    message_of: Callable[[Any], Outgoing]
    externals: Callable[[Randomness, Trace], Mapping[str, Any]]
    instant_externals: Callable[[], Any]
    externals_content: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    final_state: type[FinalState]
    violations: Callable[[Any], list[str]]
    undecided: Callable[[Any], int]
    instances: Callable[[Any], int]
    scopes: tuple[Scope, ...]
