"""What the clients of a run do: orders, cancellations, repetitions, invalid messages; and the small scopes."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from choregraphie.messaging import Outgoing, Properties
from choregraphie.saga.envelope import Event, wrap
from choregraphie.saga.topology import events
from choregraphie.simulator.clock import EPOCH
from choregraphie.simulator.randomness import Randomness
from choregraphie.simulator.scenario import Plan, Scope
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee

ACTION_SECONDS = 1.0  # all actions begin within this time
_MOMENTS = 3

CLIENTS = ("CLIENT-1", "CLIENT-2", "CLIENT-PAUVRE", "CLIENT-BLOQUE", "CLIENT-PLAFOND", "CLIENT-INCONNU")
PRODUITS = ("PROD-A", "PROD-B", "PROD-RARE", "PROD-INCONNU")
# The probability of each further action about an order.
_SHARES = {
    "cancel": 0.3,
    "again": 0.15,
    "second": 0.05,
    "rival": 0.05,
    "collide": 0.04,
    "namesake": 0.05,
    "garbage": 0.08,
}
INVALID_KINDS = (
    "not json",
    "no data",
    "unknown type",
    "unknown version",
    "other subject",
    "forged",
    "another's event",
)

CLIENT_SOURCE = "/clients/simulation"
OTHER_SOURCE = "/clients/simulation/autre"


@dataclass(frozen=True)
class ClientAction:
    """At `at` seconds a client does `kind` about `order`.

    order     a `commande.initiee` of `event` with the data
    cancel    a demand to cancel
    again     the same bytes once more
    second    the same order under another event id
    rival     the same order id with another product and amount
    collide   another order under the same event id
    namesake  another client's order under the same event id
    garbage   a message that no service can or should read
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


_FIELDS: dict[str, tuple[type, ...]] = {"at": (int, float), "quantite": (int,)}


def read_action(number: int, content: dict[str, Any]) -> ClientAction:
    """The action that a replay file holds as its number `number`. Raises TypeError or ValueError."""
    action = ClientAction(**content)
    for name, value in asdict(action).items():
        if not isinstance(value, _FIELDS.get(name, (str,))):
            raise ValueError(f"action {number}: {name} is {value!r}")
    if action.kind not in {"order", *_SHARES}:
        raise ValueError(f"action {number}: no such kind: {action.kind!r}")
    if action.what not in {"", *INVALID_KINDS}:
        raise ValueError(f"action {number}: no such kind of invalid message: {action.what!r}")
    try:
        message_of(action)
    except (ArithmeticError, ValueError):
        raise ValueError(f"action {number}: no valid event: {action.montant!r} for {action.quantite}") from None
    return action


def plan(seed: int, orders: int) -> Plan:
    """What the clients do with the seed `seed` and `orders` orders."""
    randomness = Randomness(seed)
    return Plan(seed, tuple(action for number in range(orders) for action in _actions(randomness, number + 1)))


def _actions(randomness: Randomness, number: int) -> Iterator[ClientAction]:
    order = f"CMD-{number:02}"
    # Half of the orders are plain; in the others, cases that are rare in production are common, so that they meet.
    usual = randomness.fraction("usual", order) < 0.5
    first = ClientAction(
        _moment(randomness, "order", order),
        "order",
        order,
        f"{order}-initiee",
        client="CLIENT-1" if usual else randomness.choice(CLIENTS, "client", order),
        produit="PROD-A" if usual else randomness.choice(PRODUITS, "produit", order),
        quantite=randomness.choice((1, 1, 2), "quantite", order),
        montant=randomness.choice(("49.99", "60.00", "99.90"), "montant", order),
    )
    yield first
    for kind, share in _SHARES.items():
        if randomness.fraction(kind, order) < share:
            yield _more(randomness, kind, first)


def _more(randomness: Randomness, kind: str, first: ClientAction) -> ClientAction:
    at, order = _moment(randomness, kind, first.order), first.order
    if kind == "cancel":
        return ClientAction(at, kind, order, f"{order}-annulation")
    if kind == "garbage":
        what, name = randomness.choice(INVALID_KINDS, "garbage of", order), f"{order}-faux"
        return replace(first, at=at, kind=kind, order=name, event=name, what=what)
    changes: dict[str, dict[str, Any]] = {
        "again": {},
        "second": {"event": f"{order}-deuxieme"},
        "rival": {"event": f"{order}-rivale", "produit": "PROD-B", "montant": "12.34"},
        "collide": {"order": f"{order}-autre"},
        "namesake": {"order": f"{order}-homonyme", "source": OTHER_SOURCE},
    }
    return replace(first, at=at, kind=kind, **changes[kind])


def _moment(randomness: Randomness, *name: object) -> float:
    return int(randomness.fraction("moment", *name) * _MOMENTS) * ACTION_SECONDS / _MOMENTS


def message_of(action: ClientAction) -> Outgoing:
    """The message that `action` publishes."""
    said: Event
    if action.kind == "cancel":
        said = CommandeAnnulationDemandee(commande_id=action.order, raison="changement d'avis")
    else:
        said = CommandeInitiee(
            commande_id=action.order,
            client_id=action.client,
            produit_id=action.produit,
            quantite=action.quantite,
            montant=Decimal(action.montant),
        )
    body = wrap(said, id=action.event, source=action.source, time=EPOCH).to_bytes()
    properties = Properties(message_id=action.event, type=said.TYPE, correlation_id=action.order, app_id="client")
    return Outgoing(events("client"), said.TYPE, _spoilt(action.what, body), properties)


def _spoilt(what: str, body: bytes) -> bytes:
    """The body of an invalid message of the kind `what`; an empty kind leaves `body` as it is."""
    if what == "not json":
        return body[:-10]
    changes: dict[str, dict[str, Any]] = {
        "": {},
        "no data": {"data": {}},
        "unknown type": {"type": "commande.rêvée"},
        "unknown version": {"dataschema": "urn:choregraphie:commande.initiee:99"},
        "other subject": {"subject": "CMD-AUTRE"},
        "forged": {"source": "/services/stock"},
        "another's event": {"type": "paiement.effectue", "dataschema": None},
    }
    return json.dumps(json.loads(body) | changes[what]).encode() if what else body


def _order(number: int, produit: str, quantite: int) -> ClientAction:
    name = f"CMD-{number}"
    return ClientAction(0, "order", name, f"{name}-initiee", "CLIENT-1", produit, quantite, "49.99")


_ONE = _order(1, "PROD-A", 1)
_RIVAL = replace(_ONE, kind="rival", event="CMD-1-rivale", produit="PROD-B", montant="12.34")

SCOPES = (
    Scope("one order", (_ONE,)),
    Scope("one order and its cancellation", (_ONE, ClientAction(0, "cancel", "CMD-1", "CMD-1-annulation"))),
    # Three are in stock.
    Scope("two orders on the last item", (_order(1, "PROD-RARE", 2), _order(2, "PROD-RARE", 2))),
    Scope("two orders under one id", (_ONE, _RIVAL)),
)
