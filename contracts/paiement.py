"""The events of the payment service: money taken, not taken, refunded."""

from typing import ClassVar

from choregraphie.saga.fields import Amount, AmountOrZero, Identifier, Reason
from contracts.order import OrderEvent


class PaiementEffectue(OrderEvent):
    """The money has been taken."""

    TYPE: ClassVar[str] = "paiement.effectue"
    SAID_BY: ClassVar[str] = "paiement"

    transaction_id: Identifier
    montant: Amount


class PaiementEchoue(OrderEvent):
    """No money was taken: the client is unknown, the balance too low, the card refused, or the service gave up."""

    TYPE: ClassVar[str] = "paiement.echoue"
    SAID_BY: ClassVar[str] = "paiement"

    raison: Reason


class PaiementRembourse(OrderEvent):
    """The answer to a cancellation: the money is refunded, or (null, 0) none was taken."""

    TYPE: ClassVar[str] = "paiement.rembourse"
    SAID_BY: ClassVar[str] = "paiement"

    transaction_id: Identifier | None
    montant: AmountOrZero
