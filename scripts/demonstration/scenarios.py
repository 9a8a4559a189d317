"""The orders of the demonstration, and what each must come to. Amounts and stock are the shipped catalogue's."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Kind:
    """An order. `raison`: why it must be cancelled, None when it must not; `messages`: what its client gets."""

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
        """The state in which the monitor must see it at the end."""
        return "COMPENSATED" if self.raison else "COMPLETED"


CHANGED_MIND = "demande du client"
CONFIRMED = ("confirmation",)

CREATED = Kind(
    "CMD-CREEE", "everything goes well", "CLIENT-123", "PROD-456", 2, Decimal("99.99"), messages=CONFIRMED
)
OUT_OF_STOCK = Kind(
    "CMD-RUPTURE",
    "five are one too many: refused by stock",
    "CLIENT-123",
    "PROD-999",
    5,
    Decimal("249.95"),
    "stock insuffisant : 3 disponibles, 5 demandés",
)
TOO_POOR = Kind(
    "CMD-SANS-PROVISION",
    "the balance is too low: refused by paiement",
    "CLIENT-999",
    "PROD-123",
    1,
    Decimal("49.99"),
    "solde insuffisant",
)
BLOCKED = Kind(
    "CMD-CLIENT-BLOQUE",
    "a blocked client: paid, then refused at creation",
    "CLIENT-666",
    "PROD-789",
    1,
    Decimal("120.00"),
    "client bloqué",
)
CANCELLED_AFTER = Kind(
    "CMD-ANNULEE-APRES",
    "cancelled by its client after creation",
    "CLIENT-456",
    "PROD-789",
    3,
    Decimal("150.00"),
    CHANGED_MIND,
    ("confirmation", "rectificatif"),
)
CANCELLED_BEFORE = Kind(
    "CMD-ANNULEE-AVANT",
    "cancelled by its client before creation",
    "CLIENT-789",
    "PROD-123",
    2,
    Decimal("80.00"),
    CHANGED_MIND,
)
TOO_LATE = Kind(
    "CMD-HORS-DELAI",
    "paiement is paused until the deadline has passed",
    "CLIENT-789",
    "PROD-456",
    1,
    Decimal("45.50"),
    "délai dépassé",
)
# A few more of the first kind, so that there is something to count.
OTHERS = tuple(
    Kind(
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


def _under_way(name: str) -> tuple[Kind, ...]:
    return tuple(
        Kind(
            f"CMD-{name}-{n}",
            "everything goes well, though something is killed meanwhile",
            "CLIENT-456",
            "PROD-456",
            1,
            Decimal("19.90"),
            messages=CONFIRMED,
        )
        for n in range(1, 7)
    )


# Under way while a worker is killed, and while the broker is.
WORKER_KILLED = _under_way("WORKER")
BROKER_KILLED = _under_way("BROKER")
UNDER_WAY = (*WORKER_KILLED, *BROKER_KILLED)

AT_ONCE = (CREATED, OUT_OF_STOCK, TOO_POOR, BLOCKED, CANCELLED_AFTER, *OTHERS)
KINDS = (*AT_ONCE, CANCELLED_BEFORE, TOO_LATE)
ALL = (*KINDS, *UNDER_WAY)
