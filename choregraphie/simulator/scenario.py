"""What the simulator is given: the scenario of a saga, and the parameters of a run that its seed decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from choregraphie.orchestration import Orchestrated
from choregraphie.saga.choreography import Choreography
from choregraphie.saga.saga_set import SagaSet
from choregraphie.service.service import Service
from choregraphie.simulator.broker_model import RABBIT_3_10, RABBIT_4_0, RABBIT_4_3, Version
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.invariants import Check, general_checks, violations_of
from choregraphie.simulator.plan import Scope
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.trace import Trace
from choregraphie.simulator.workload import Workload

# 3.10 loses what 4.x keeps, so as many runs are on it as on the others together.
DRAWN_VERSIONS = (RABBIT_3_10, RABBIT_3_10, RABBIT_4_0, RABBIT_4_3)


@dataclass(frozen=True)
class RunParameters:
    """The parameters of a run that its seed decides; durations in seconds.

    redrives        how often the operator redrives each dead letter at the end
    early_redrives  the turns of the fault injection at which it does so during the run
    """

    version: Version
    delivery_limit: int
    workers: dict[str, int]
    prefetch: int
    deadline: float
    retry_delays: tuple[float, ...]
    hold_after: int
    longest_hold: float
    redrives: int
    early_redrives: tuple[int, ...]


def run_parameters(seed: int, services: Sequence[str]) -> RunParameters:
    randomness = Randomness(seed)
    return RunParameters(
        version=randomness.choice(DRAWN_VERSIONS, "version"),
        delivery_limit=randomness.choice((2, 4, 20), "delivery limit"),
        workers={name: randomness.choice((1, 1, 2), "workers", name) for name in services},
        prefetch=randomness.choice((8, 100, 200, 200, 200), "prefetch"),
        deadline=randomness.choice((0.6, 3.0, 8.0), "deadline"),
        retry_delays=randomness.choice(((0.2,), (0.1, 0.4), (0.2, 0.5, 1.0)), "retry delays"),
        hold_after=randomness.choice((2, 3, 5), "hold after"),
        longest_hold=randomness.choice((0.4, 2.0, 60.0), "longest hold"),
        redrives=randomness.choice((0, 1, 1, 2), "redrives"),
        early_redrives=randomness.choice(((), (6,), (4, 6, 8, 10), (3, 5, 7, 9, 11)), "early redrives"),
    )


class NoExternals:
    """The externals of a saga whose services call nothing outside."""

    def copy(self) -> Self:
        return self

    def canonical(self) -> tuple[Any, ...]:
        return ()


def _no_externals(randomness: Randomness, trace: Trace) -> Mapping[str, Any]:
    return {}


def _nothing(externals: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Scenario:
    """A saga to simulate.

    seed                the TOML that fills the empty databases
    workload            what its clients do
    business            its own invariants by their names, beside those of any saga; one of the same name replaces
                        the general one
    scopes              the scopes of the exhaustive search
    externals           randomness and trace → the externals of the services' calls, by service; with faults
    instant_externals   the same for one service of the exhaustive search: it answers at once and can be copied
    externals_content   externals by service → their content, for the invariants
    final_state         the class that the invariants read
    """

    choreography: Choreography
    services: tuple[Service, ...]
    seed: Path
    workload: Workload
    business: Mapping[str, Check] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()
    externals: Callable[[Randomness, Trace], Mapping[str, Any]] = _no_externals
    instant_externals: Callable[[], Any] = NoExternals
    externals_content: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
    final_state: type[FinalState] = FinalState

    @property
    def saga_set(self) -> SagaSet:
        """Its saga, with the retry delays that the services declare."""
        return SagaSet((self.choreography,), delays={one.name: one.own_delays for one in self.services})

    def violations(self, state: FinalState) -> list[str]:
        """Every invariant that `state` violates, each with what was found instead."""
        return violations_of({**general_checks(self.choreography), **self.business}, state)

    def undecided(self, databases: Any) -> int:
        """How many instances a running deadline must still decide, unless an event does."""
        saga = self.choreography
        if isinstance(saga, Orchestrated):
            return sum(row["due"] is not None for row in databases.rows(*saga.table))
        begun: set[str] = set()
        for timed in saga.timed:
            begun |= databases.keys(timed.service, "inbox", {event.TYPE for event in timed.after})
        return len(begun - databases.keys(saga.decider, "outbox", {saga.created.TYPE, saga.cancelled.TYPE}))
