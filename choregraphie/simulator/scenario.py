"""What the simulator is given: the scenario of a saga, the plan of a run, the parameters that its seed decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from choregraphie.messaging import Outgoing
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service
from choregraphie.simulator.broker_model import VERSIONS, Version
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.randomness import Fault, Randomness
from choregraphie.simulator.trace import Trace


class ClientAction(Protocol):
    """An action of a client: at `at` seconds it publishes the event `event` about the instance `order`.

    `kind` names the action; `what` names the kind of invalid message, or is empty.
    """

    @property
    def at(self) -> float: ...

    @property
    def kind(self) -> str: ...

    @property
    def order(self) -> str: ...

    @property
    def event(self) -> str: ...

    @property
    def what(self) -> str: ...


ReadAction = Callable[[int, dict[str, Any]], ClientAction]


@dataclass(frozen=True)
class Plan:
    """A run: its seed, its clients' actions, and the names of its faults (None: the seed decides)."""

    seed: int
    actions: tuple[Any, ...]
    faults: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "acts": [asdict(action) for action in self.actions], "faults": self.faults}

    @classmethod
    def from_json(cls, content: dict[str, Any], read_action: ReadAction) -> Self:
        """The plan that `to_json` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        faults = content["faults"]
        actions = tuple(read_action(number, action) for number, action in enumerate(content["acts"], start=1))
        return cls(int(content["seed"]), actions, None if faults is None else tuple(map(_fault, faults)))


def _fault(name: str) -> str:
    if name.partition(":")[0] not in set(Fault):
        raise ValueError(f"no such fault: {name!r}")
    return name


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
    redrives: int
    early_redrives: tuple[int, ...]


def run_parameters(seed: int, services: Sequence[str]) -> RunParameters:
    randomness = Randomness(seed)
    return RunParameters(
        version=randomness.choice(VERSIONS, "version"),
        delivery_limit=randomness.choice((2, 4, 20), "delivery limit"),
        workers={name: randomness.choice((1, 1, 2), "workers", name) for name in services},
        prefetch=randomness.choice((8, 100, 200, 200, 200), "prefetch"),
        deadline=randomness.choice((0.6, 3.0, 8.0), "deadline"),
        retry_delays=randomness.choice(((0.2,), (0.1, 0.4), (0.2, 0.5, 1.0)), "retry delays"),
        redrives=randomness.choice((0, 1, 1, 2), "redrives"),
        early_redrives=randomness.choice(((), (6,), (4, 6, 8, 10), (3, 5, 7, 9, 11)), "early redrives"),
    )


@dataclass(frozen=True)
class Scope:
    """A scope of the exhaustive search: a few actions of clients."""

    name: str
    actions: tuple[Any, ...]


@dataclass(frozen=True)
class Scenario:
    """A saga to simulate.

    seed                the TOML that fills the empty databases
    plan                seed and number of instances → the plan of a run
    read_action         number and fields of an action in a replay file → the action; raises TypeError or
                        ValueError
    message_of          an action → the message that it publishes
    externals           randomness and trace → the externals of the services' calls, by service; with faults
    instant_externals   the same for one service of the exhaustive search: it answers at once and can be copied
    externals_content   externals by service → their content, for the invariants
    final_state         the class that the invariants read
    violations          a final state → every violated invariant, each with what was found
    undecided           databases → the number of instances that still wait for their decision
    instances           a final state → the number of instances
    scopes              the scopes of the exhaustive search
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
