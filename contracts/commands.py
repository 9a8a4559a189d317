"""The commands of the orchestrated order: what the orchestrator tells a service to do.

A command carries what the service needs. The service answers with the events of the choreography.
"""

from typing import ClassVar

from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Amount, Identifier, Quantity, Reason
from contracts.order import OrderEvent


class OrderCommand(Event):
    """A command about one order."""

    SAGA: ClassVar[str] = OrderEvent.SAGA
    KEY: ClassVar[str] = OrderEvent.KEY
    SAID_BY: ClassVar[str] = "orchestrateur"

    commande_id: Identifier


class StockReserver(OrderCommand):
    """Hold the goods."""

    TYPE: ClassVar[str] = "stock.reserver"
    SAID_TO: ClassVar[str] = "stock"

    client_id: Identifier
    produit_id: Identifier
    quantite: Quantity
    montant: Amount


class StockVendre(OrderCommand):
    """The order is created: what was held is sold."""

    TYPE: ClassVar[str] = "stock.vendre"
    SAID_TO: ClassVar[str] = "stock"


class StockLiberer(OrderCommand):
    """Release what was held or sold, if anything was."""

    TYPE: ClassVar[str] = "stock.liberer"
    SAID_TO: ClassVar[str] = "stock"


class PaiementDebiter(OrderCommand):
    """Take the money."""

    TYPE: ClassVar[str] = "paiement.debiter"
    SAID_TO: ClassVar[str] = "paiement"

    client_id: Identifier
    montant: Amount


class PaiementRembourser(OrderCommand):
    """Refund what was taken, if anything was."""

    TYPE: ClassVar[str] = "paiement.rembourser"
    SAID_TO: ClassVar[str] = "paiement"


class CommandeCreer(OrderCommand):
    """Create the order, if the client may buy."""

    TYPE: ClassVar[str] = "commande.creer"
    SAID_TO: ClassVar[str] = "commande"

    client_id: Identifier
    montant: Amount


class CommandeAnnuler(OrderCommand):
    """Cancel the order, whether it was created or not."""

    TYPE: ClassVar[str] = "commande.annuler"
    SAID_TO: ClassVar[str] = "commande"

    raison: Reason


class NotificationEnvoyer(OrderCommand):
    """Tell the customer that the order is created."""

    TYPE: ClassVar[str] = "notification.envoyer"
    SAID_TO: ClassVar[str] = "notification"


class NotificationPrevenir(OrderCommand):
    """Tell the customer that the order is cancelled; after a confirmation, correct that."""

    TYPE: ClassVar[str] = "notification.prevenir"
    SAID_TO: ClassVar[str] = "notification"

    raison: Reason
