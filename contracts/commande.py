"""The events of the order service, which alone decides: created, cancelled."""

from typing import ClassVar

from choregraphie.saga.fields import Reason
from contracts.order import OrderEvent


class CommandeCreee(OrderEvent):
    """The order is created: goods held, money taken, client accepted."""

    TYPE: ClassVar[str] = "commande.creee"
    SAID_BY: ClassVar[str] = "commande"


class CommandeAnnulee(OrderEvent):
    """The order is cancelled; every compensating service must answer."""

    TYPE: ClassVar[str] = "commande.annulee"
    SAID_BY: ClassVar[str] = "commande"

    raison: Reason
