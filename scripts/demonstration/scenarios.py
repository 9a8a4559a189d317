"""The orders of the demonstration and the expected end of each. Amounts and stock are the shipped catalogue's."""

from dataclasses import dataclass
from decimal import Decimal

from choregraphie.saga.envelope import Instance
from contracts.choreography import CHOREOGRAPHY


@dataclass(frozen=True)
class Scenario:
    """An order. `raison`: the expected reason of its cancellation, if any; `messages`: the mails to its client."""

    commande_id: str
    about: str
    client: str
    produit: str
    quantite: int
    montant: Decimal
    raison: str | None = None
    messages: tuple[str, ...] = ("annulation",)

    @property
    def state(self) -> str:
        """The expected final state in the monitor."""
        return "COMPENSATED" if self.raison else "COMPLETED"

    @property
    def order(self) -> Instance:
        """The order, as the monitor knows it."""
        return Instance(CHOREOGRAPHY.name, self.commande_id)


CHANGED_MIND = "demande du client"
CONFIRMED = ("confirmation",)

CREATED = Scenario(
    "CMD-CREEE", "everything goes well", "CLIENT-123", "PROD-456", 2, Decimal("99.99"), messages=CONFIRMED
)
OUT_OF_STOCK = Scenario(
    "CMD-RUPTURE",
    "five are one too many: refused by stock",
    "CLIENT-123",
    "PROD-999",
    5,
    Decimal("249.95"),
    "stock insuffisant : 3 disponibles, 5 demandés",
)
NO_FUNDS = Scenario(
    "CMD-SANS-PROVISION",
    "the balance is too low: refused by paiement",
    "CLIENT-999",
    "PROD-123",
    1,
    Decimal("49.99"),
    "solde insuffisant",
)
BLOCKED = Scenario(
    "CMD-CLIENT-BLOQUE",
    "a blocked client: paid, then refused at creation",
    "CLIENT-666",
    "PROD-789",
    1,
    Decimal("120.00"),
    "client bloqué",
)
CANCELLED_AFTER = Scenario(
    "CMD-ANNULEE-APRES",
    "cancelled by its client after creation",
    "CLIENT-456",
    "PROD-789",
    3,
    Decimal("150.00"),
    CHANGED_MIND,
    ("confirmation", "rectificatif"),
)
CANCELLED_BEFORE = Scenario(
    "CMD-ANNULEE-AVANT",
    "cancelled by its client before creation",
    "CLIENT-789",
    "PROD-123",
    2,
    Decimal("80.00"),
    CHANGED_MIND,
)
PAST_DEADLINE = Scenario(
    "CMD-HORS-DELAI",
    "paiement is paused until the deadline has passed",
    "CLIENT-789",
    "PROD-456",
    1,
    Decimal("45.50"),
    "délai dépassé",
)
# Further orders of the first kind, so that there is something to count.
OTHERS = tuple(
    Scenario(
        f"CMD-AUTRE-{n}",
        "everything goes well",
        "CLIENT-456",
        "PROD-456",
        n,
        Decimal("19.90") * n,
        messages=CONFIRMED,
    )
    for n in (1, 2, 3)
)


def _unfinished(name: str) -> tuple[Scenario, ...]:
    return tuple(
        Scenario(
            f"CMD-{name}-{n}",
            "everything goes well, although something is killed meanwhile",
            "CLIENT-456",
            "PROD-456",
            1,
            Decimal("19.90"),
            messages=CONFIRMED,
        )
        for n in range(1, 7)
    )


# The unfinished orders when a worker is killed, and when the broker is.
WORKER_KILLED = _unfinished("WORKER")
BROKER_KILLED = _unfinished("BROKER")
UNFINISHED = (*WORKER_KILLED, *BROKER_KILLED)

AT_ONCE = (CREATED, OUT_OF_STOCK, NO_FUNDS, BLOCKED, CANCELLED_AFTER, *OTHERS)
SCENARIOS = (*AT_ONCE, CANCELLED_BEFORE, PAST_DEADLINE)
ALL = (*SCENARIOS, *UNFINISHED)
