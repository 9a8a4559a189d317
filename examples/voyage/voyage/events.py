"""The events of the voyage saga, grouped by who says them."""

from typing import ClassVar

from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Amount, AmountOrZero, Identifier, Quantity, Reason


class VoyageEvent(Event):
    """A fact about one voyage."""

    SAGA: ClassVar[str] = "voyage"
    KEY: ClassVar[str] = "voyage_id"

    voyage_id: Identifier


class VoyageDemande(VoyageEvent):
    """A client asks for a flight, a hotel and a car. This event begins the saga."""

    TYPE: ClassVar[str] = "voyage.demande"
    SAID_BY: ClassVar[str] = "client"

    client_id: Identifier
    vol_id: Identifier
    hotel_id: Identifier
    voiture_id: Identifier
    voyageurs: Quantity
    nuits: Quantity


class VoyageAnnulationDemandee(VoyageEvent):
    """The client asks to cancel, whether the voyage is confirmed or not."""

    TYPE: ClassVar[str] = "voyage.annulation_demandee"
    SAID_BY: ClassVar[str] = "client"

    raison: Reason


class VolReserve(VoyageEvent):
    """Seats are booked. `frais` is what the airline keeps when the voyage is cancelled after its confirmation."""

    TYPE: ClassVar[str] = "vol.reserve"
    SAID_BY: ClassVar[str] = "vol"

    reservation_id: Identifier
    client_id: Identifier
    prix: Amount
    frais: AmountOrZero


class VolRefuse(VoyageEvent):
    """No seat is booked: the flight is unknown or full, or the service gave up."""

    TYPE: ClassVar[str] = "vol.refuse"
    SAID_BY: ClassVar[str] = "vol"

    raison: Reason


class VolAnnule(VoyageEvent):
    """The answer to a cancellation: what the airline refunds and keeps; null and 0 if nothing was booked."""

    TYPE: ClassVar[str] = "vol.annule"
    SAID_BY: ClassVar[str] = "vol"

    reservation_id: Identifier | None
    rembourse: AmountOrZero
    frais: AmountOrZero


class HotelReserve(VoyageEvent):
    """A room is booked for every night."""

    TYPE: ClassVar[str] = "hotel.reserve"
    SAID_BY: ClassVar[str] = "hotel"

    reservation_id: Identifier
    client_id: Identifier
    prix: Amount


class HotelRefuse(VoyageEvent):
    """No room is booked: the hotel is unknown or full, or the service gave up."""

    TYPE: ClassVar[str] = "hotel.refuse"
    SAID_BY: ClassVar[str] = "hotel"

    raison: Reason


class HotelAnnule(VoyageEvent):
    """The answer to a cancellation: the room is free again, or (null) none was booked."""

    TYPE: ClassVar[str] = "hotel.annule"
    SAID_BY: ClassVar[str] = "hotel"

    reservation_id: Identifier | None


class VoitureReservee(VoyageEvent):
    """A car is booked for every day."""

    TYPE: ClassVar[str] = "voiture.reservee"
    SAID_BY: ClassVar[str] = "voiture"

    reservation_id: Identifier
    client_id: Identifier
    prix: Amount


class VoitureRefusee(VoyageEvent):
    """No car is booked: the category is unknown or all are rented, or the service gave up."""

    TYPE: ClassVar[str] = "voiture.refusee"
    SAID_BY: ClassVar[str] = "voiture"

    raison: Reason


class VoitureAnnulee(VoyageEvent):
    """The answer to a cancellation: the car is free again, or (null) none was booked."""

    TYPE: ClassVar[str] = "voiture.annulee"
    SAID_BY: ClassVar[str] = "voiture"

    reservation_id: Identifier | None


class PaiementEffectue(VoyageEvent):
    """The card is debited with the price of flight, hotel and car."""

    TYPE: ClassVar[str] = "paiement.effectue"
    SAID_BY: ClassVar[str] = "paiement"

    transaction_id: Identifier
    montant: Amount


class PaiementEchoue(VoyageEvent):
    """Nothing is debited: the card is refused, or the service gave up."""

    TYPE: ClassVar[str] = "paiement.echoue"
    SAID_BY: ClassVar[str] = "paiement"

    raison: Reason


class PaiementRembourse(VoyageEvent):
    """The answer to a cancellation: what is credited, less the airline's fee; null and 0 if nothing was taken."""

    TYPE: ClassVar[str] = "paiement.rembourse"
    SAID_BY: ClassVar[str] = "paiement"

    transaction_id: Identifier | None
    montant: AmountOrZero


class VoyageConfirme(VoyageEvent):
    """Flight, hotel and car are booked and paid."""

    TYPE: ClassVar[str] = "voyage.confirme"
    SAID_BY: ClassVar[str] = "agence"


class VoyageAnnule(VoyageEvent):
    """The voyage is cancelled; every booking and the payment must answer. `confirme`: it had been confirmed."""

    TYPE: ClassVar[str] = "voyage.annule"
    SAID_BY: ClassVar[str] = "agence"

    raison: Reason
    confirme: bool
