"""What a client says: that it orders, and that it wants to cancel."""

from typing import ClassVar

from choregraphie.saga.envelope import Amount, Event, Identifier, Quantity, Reason


class CommandeInitiee(Event):
    """A customer orders: the first event of a saga."""

    TYPE: ClassVar[str] = "commande.initiee"
    SAID_BY: ClassVar[str] = "client"

    client_id: Identifier
    produit_id: Identifier
    quantite: Quantity
    montant: Amount


class CommandeAnnulationDemandee(Event):
    """The customer wants the order cancelled, whether or not it has been created yet."""

    TYPE: ClassVar[str] = "commande.annulation_demandee"
    SAID_BY: ClassVar[str] = "client"

    raison: Reason
