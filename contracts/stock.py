"""What the stock service says: held, not held, put back."""

from typing import ClassVar

from choregraphie.saga.envelope import Amount, Event, Identifier, Quantity, Reason


class StockReserve(Event):
    """The goods are held for this order."""

    TYPE: ClassVar[str] = "stock.reserve"
    SAID_BY: ClassVar[str] = "stock"

    reservation_id: Identifier
    client_id: Identifier
    produit_id: Identifier
    quantite: Quantity
    montant: Amount


class StockReservationEchouee(Event):
    """Nothing is held: unknown product, shortage, or the service gave up."""

    TYPE: ClassVar[str] = "stock.reservation_echouee"
    SAID_BY: ClassVar[str] = "stock"

    raison: Reason


class StockLibere(Event):
    """The answer to a cancellation: what was held or sold is back, or (null) there was nothing."""

    TYPE: ClassVar[str] = "stock.libere"
    SAID_BY: ClassVar[str] = "stock"

    reservation_id: Identifier | None
