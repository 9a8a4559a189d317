"""The plan of a run: its seed, what its clients do, its faults; and the small scopes of the exhaustive search."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from choregraphie.simulator.randomness import Fault

CLIENT_SOURCE = "/clients/simulation"
OTHER_SOURCE = "/clients/simulation/autre"


@dataclass(frozen=True)
class ClientAction:
    """At `at` seconds a client does `kind` about the instance `key`, in a message with the event id `event`.

    start     the event that begins the saga, with `data` beside the key
    cancel    a demand to cancel
    again     the same bytes once more
    second    the same under another event id
    rival     the same key with other data
    collide   another instance under the same event id
    namesake  another client's instance under the same event id
    garbage   a message that no service can or should read; `what` says of which kind
    """

    at: float
    kind: str
    key: str
    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    what: str = ""
    source: str = CLIENT_SOURCE


ReadAction = Callable[[int, dict[str, Any]], ClientAction]


@dataclass(frozen=True)
class Plan:
    """A run: its seed, its clients' actions, and the names of its faults (None: the seed decides)."""

    seed: int
    actions: tuple[ClientAction, ...]
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
class Scope:
    """A scope of the exhaustive search: a few actions of clients."""

    name: str
    actions: tuple[ClientAction, ...]
