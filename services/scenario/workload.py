"""What the clients of the order saga do, and the small scopes of the exhaustive search."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from choregraphie.simulator import ClientAction, Randomness, Scope, Workload
from contracts.choreography import CHOREOGRAPHY

CLIENTS = ("CLIENT-1", "CLIENT-2", "CLIENT-PAUVRE", "CLIENT-BLOQUE", "CLIENT-PLAFOND", "CLIENT-INCONNU")
PRODUITS = ("PROD-A", "PROD-B", "PROD-RARE", "PROD-INCONNU")
_OTHER = {"produit_id": "PROD-B", "montant": 12.34}


def _begin(randomness: Randomness, order: str) -> Mapping[str, Any]:
    # Half of the orders are plain; in the others, cases that are rare in production are common, so that they meet.
    usual = randomness.fraction("usual", order) < 0.5
    return {
        "client_id": "CLIENT-1" if usual else randomness.choice(CLIENTS, "client", order),
        "produit_id": "PROD-A" if usual else randomness.choice(PRODUITS, "produit", order),
        "quantite": randomness.choice((1, 1, 2), "quantite", order),
        "montant": randomness.choice((49.99, 60.00, 99.90), "montant", order),
    }


WORKLOAD = Workload(CHOREOGRAPHY, begin=_begin, rival=_OTHER, cancel={"raison": "changement d'avis"}, prefix="CMD")


def _order(number: int, produit: str, quantite: int) -> ClientAction:
    name = f"CMD-{number}"
    data = {"client_id": "CLIENT-1", "produit_id": produit, "quantite": quantite, "montant": 49.99}
    return ClientAction(0, "start", name, f"{name}-initiee", data)


_ONE = _order(1, "PROD-A", 1)
_RIVAL = replace(_ONE, kind="rival", event="CMD-1-rivale", data={**_ONE.data, **_OTHER})

SCOPES = (
    Scope("one order", (_ONE,)),
    Scope("one order and its cancellation", (_ONE, ClientAction(0, "cancel", "CMD-1", "CMD-1-annulation"))),
    # Three are in stock.
    Scope("two orders on the last item", (_order(1, "PROD-RARE", 2), _order(2, "PROD-RARE", 2))),
    Scope("two orders under one id", (_ONE, _RIVAL)),
)
