"""What the events of the order saga share: its name and its key."""

from typing import ClassVar

from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier


class OrderEvent(Event):
    """A fact about one order."""

    SAGA: ClassVar[str] = "commande"
    KEY: ClassVar[str] = "commande_id"

    commande_id: Identifier
