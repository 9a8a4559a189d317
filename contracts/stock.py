"""The events of the stock service: goods held, not held, released."""

from typing import ClassVar

from choregraphie.saga.fields import Amount, Identifier, Quantity, Reason
from contracts.order import OrderEvent


class StockReserve(OrderEvent):
    """The goods are held for this order."""

    TYPE: ClassVar[str] = "stock.reserve"
    SAID_BY: ClassVar[str] = "stock"

    reservation_id: Identifier
    client_id: Identifier
    produit_id: Identifier
    quantite: Quantity
    montant: Amount


class StockReservationEchouee(OrderEvent):
    """No goods are held: the product is unknown, the stock too low, or the service gave up."""

    TYPE: ClassVar[str] = "stock.reservation_echouee"
    SAID_BY: ClassVar[str] = "stock"

    raison: Reason


class StockLibere(OrderEvent):
    """The answer to a cancellation: what was held or sold is released, or (null) there was nothing."""

    TYPE: ClassVar[str] = "stock.libere"
    SAID_BY: ClassVar[str] = "stock"

    reservation_id: Identifier | None
