"""The event of the notification service: a message has left, and cannot be unsent."""

from typing import ClassVar, Literal

from choregraphie.saga.fields import Identifier
from contracts.order import OrderEvent

Modele = Literal["confirmation", "annulation", "rectificatif"]


class NotificationEnvoyee(OrderEvent):
    """A message has left for the customer."""

    TYPE: ClassVar[str] = "notification.envoyee"
    SAID_BY: ClassVar[str] = "notification"

    modele: Modele
    destinataire: Identifier
