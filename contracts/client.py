"""The events of clients: an order, and the demand to cancel it."""

from typing import ClassVar

from choregraphie.saga.fields import Amount, Identifier, Quantity, Reason
from contracts.order import OrderEvent


class CommandeInitiee(OrderEvent):
    """A customer places an order. This event begins the saga."""

    TYPE: ClassVar[str] = "commande.initiee"
    SAID_BY: ClassVar[str] = "client"

    client_id: Identifier
    produit_id: Identifier
    quantite: Quantity
    montant: Amount


class CommandeAnnulationDemandee(OrderEvent):
    """The customer asks to cancel the order, whether it has been created or not."""

    TYPE: ClassVar[str] = "commande.annulation_demandee"
    SAID_BY: ClassVar[str] = "client"

    raison: Reason
