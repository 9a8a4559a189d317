"""The small scopes that the exhaustive search covers."""

from dataclasses import replace

from choregraphie.simulator.scenario import Scope
from services.scenario.workload import ClientAction


def _order(number: int, produit: str, quantite: int) -> ClientAction:
    name = f"CMD-{number}"
    return ClientAction(0, "order", name, f"{name}-initiee", "CLIENT-1", produit, quantite, "49.99")


_ONE = _order(1, "PROD-A", 1)
_RIVAL = replace(_ONE, kind="rival", event="CMD-1-rivale", produit="PROD-B", montant="12.34")

SCOPES = (
    Scope("one order", (_ONE,)),
    Scope("one order and its cancellation", (_ONE, ClientAction(0, "cancel", "CMD-1", "CMD-1-annulation"))),
    # Three are on the shelf.
    Scope("two orders on the last item", (_order(1, "PROD-RARE", 2), _order(2, "PROD-RARE", 2))),
    Scope("two orders under one id", (_ONE, _RIVAL)),
)
