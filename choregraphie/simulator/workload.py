"""What the clients of a run do, the faults that strike, and what else the seed decides. Data."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from choregraphie.simulator.broker_model import VERSIONS, Version
from choregraphie.simulator.randomness import Fault, Randomness


class ClientAction(Protocol):
    """What somebody does at `at` seconds (`kind`) about the instance of key `order`, as the event of id `event`.

    `what` says which kind of invalid message it is, or nothing.
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
    """A run: its seed, what the clients do, and the faults that strike (None: those of the seed)."""

    seed: int
    actions: tuple[Any, ...]
    faults: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "acts": [asdict(action) for action in self.actions], "faults": self.faults}

    @classmethod
    def from_json(cls, content: dict[str, Any], read_action: ReadAction) -> Self:
        """Raises KeyError, TypeError or ValueError when it is not a plan."""
        faults = content["faults"]
        actions = tuple(read_action(number, action) for number, action in enumerate(content["acts"], start=1))
        return cls(int(content["seed"]), actions, None if faults is None else tuple(map(_fault, faults)))


def _fault(name: str) -> str:
    if name.partition(":")[0] not in set(Fault):
        raise ValueError(f"no such fault: {name!r}")
    return name


@dataclass(frozen=True)
class RunParameters:
    """What else the seed decides: durations in seconds.

    `redrives`: how often the operator sends each dead letter back in the end; `early_redrives`: the turns of the
    nemesis at which it does so in the midst of everything.
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
