"""What the clients of a run do, and when: orders of every kind, cancellations, repetitions, garbage. Data."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from services.simulation.broker import VERSIONS, Version
from services.simulation.chance import Chance, Fault

ACT_SECONDS = 1.0  # all acts begin within this time
_MOMENTS = 3

CLIENTS = ("CLIENT-1", "CLIENT-2", "CLIENT-PAUVRE", "CLIENT-BLOQUE", "CLIENT-PLAFOND", "CLIENT-INCONNU")
PRODUITS = ("PROD-A", "PROD-B", "PROD-RARE", "PROD-INCONNU")
# How often something more is done about an order.
_SHARES = {
    "cancel": 0.3,
    "again": 0.15,
    "second": 0.05,
    "rival": 0.05,
    "collide": 0.04,
    "namesake": 0.05,
    "garbage": 0.08,
}
GARBAGE = ("not json", "no data", "unknown type", "unknown version", "other subject", "forged", "another's event")

CLIENT_SOURCE = "/clients/simulation"
OTHER_SOURCE = "/clients/simulation/autre"


@dataclass(frozen=True)
class Act:
    """At `at` seconds somebody does `kind` about `order`.

    order    a `commande.initiee` of `event` with the data      cancel   a demand to cancel
    again    the same bytes once more                           second   the same order under another event id
    collide  another order under the same event id              rival    another amount under the same id
    namesake another client's order under the same event id     garbage  what nobody could or should read
    """

    at: float
    kind: str
    order: str
    event: str
    client: str = ""
    produit: str = ""
    quantite: int = 0
    montant: str = ""
    what: str = ""
    source: str = CLIENT_SOURCE


@dataclass(frozen=True)
class Plan:
    """A run: its seed, what the clients do, and the faults that strike (None: those of the seed)."""

    seed: int
    acts: tuple[Act, ...]
    faults: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "acts": [asdict(act) for act in self.acts], "faults": self.faults}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when it is not a plan."""
        faults = content["faults"]
        acts = tuple(_act(number, act) for number, act in enumerate(content["acts"], start=1))
        return cls(int(content["seed"]), acts, None if faults is None else tuple(map(_fault, faults)))


_FIELDS: dict[str, tuple[type, ...]] = {"at": (int, float), "quantite": (int,)}


def _act(number: int, content: dict[str, Any]) -> Act:
    act = Act(**content)
    for name, value in asdict(act).items():
        if not isinstance(value, _FIELDS.get(name, (str,))):
            raise ValueError(f"act {number}: {name} is {value!r}")
    if act.kind not in {"order", *_SHARES}:
        raise ValueError(f"act {number}: no such kind: {act.kind!r}")
    if act.what not in {"", *GARBAGE}:
        raise ValueError(f"act {number}: no such garbage: {act.what!r}")
    return act


def _fault(name: str) -> str:
    if name.partition(":")[0] not in set(Fault):
        raise ValueError(f"no such fault: {name!r}")
    return name


@dataclass(frozen=True)
class Circumstances:
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


def circumstances(seed: int, services: Sequence[str]) -> Circumstances:
    chance = Chance(seed)
    return Circumstances(
        version=chance.choice(VERSIONS, "version"),
        delivery_limit=chance.choice((2, 4, 20), "delivery limit"),
        workers={name: chance.choice((1, 1, 2), "workers", name) for name in services},
        prefetch=chance.choice((8, 100, 200, 200, 200), "prefetch"),
        deadline=chance.choice((0.6, 3.0, 8.0), "deadline"),
        retry_delays=chance.choice(((0.2,), (0.1, 0.4), (0.2, 0.5, 1.0)), "retry delays"),
        redrives=chance.choice((0, 1, 1, 2), "redrives"),
        early_redrives=chance.choice(((), (6,), (4, 6, 8, 10), (3, 5, 7, 9, 11)), "early redrives"),
    )


def plan(seed: int, orders: int) -> Plan:
    """What the clients of that seed do with so many orders."""
    chance = Chance(seed)
    return Plan(seed, tuple(act for number in range(orders) for act in _acts(chance, number + 1)))


def _acts(chance: Chance, number: int) -> Iterator[Act]:
    order = f"CMD-{number:02}"
    # Most go well by themselves; what is rare in life is common here, or nothing would meet.
    usual = chance.fraction("usual", order) < 0.5
    first = Act(
        _moment(chance, "order", order),
        "order",
        order,
        f"{order}-initiee",
        client="CLIENT-1" if usual else chance.choice(CLIENTS, "client", order),
        produit="PROD-A" if usual else chance.choice(PRODUITS, "produit", order),
        quantite=chance.choice((1, 1, 2), "quantite", order),
        montant=chance.choice(("49.99", "60.00", "99.90"), "montant", order),
    )
    yield first
    for kind, share in _SHARES.items():
        if chance.fraction(kind, order) < share:
            yield _more(chance, kind, first)


def _more(chance: Chance, kind: str, first: Act) -> Act:
    at, order = _moment(chance, kind, first.order), first.order
    if kind == "cancel":
        return Act(at, kind, order, f"{order}-annulation")
    if kind == "garbage":
        what, name = chance.choice(GARBAGE, "garbage of", order), f"{order}-faux"
        return replace(first, at=at, kind=kind, order=name, event=name, what=what)
    changes: dict[str, dict[str, Any]] = {
        "again": {},
        "second": {"event": f"{order}-deuxieme"},
        "rival": {"event": f"{order}-rivale", "produit": "PROD-B", "montant": "12.34"},
        "collide": {"order": f"{order}-autre"},
        "namesake": {"order": f"{order}-homonyme", "source": OTHER_SOURCE},
    }
    return replace(first, at=at, kind=kind, **changes[kind])


def _moment(chance: Chance, *name: object) -> float:
    return int(chance.fraction("moment", *name) * _MOMENTS) * ACT_SECONDS / _MOMENTS
