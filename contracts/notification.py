"""The event of the notification service: a message has left, and cannot be unsent."""

from typing import ClassVar, Literal

from choregraphie.saga.envelope import Event, Identifier

Modele = Literal["confirmation", "annulation", "rectificatif"]


class NotificationEnvoyee(Event):
    """A message has left for the customer."""

    TYPE: ClassVar[str] = "notification.envoyee"
    SAID_BY: ClassVar[str] = "notification"

    modele: Modele
    destinataire: Identifier
