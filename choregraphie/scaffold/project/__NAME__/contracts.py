"""The events on the wire. An event is a fact, in the past tense, and never changes once it is published."""

from typing import ClassVar

from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier, Reason


class InscriptionEvent(Event):
    """A fact about one enrolment: the base class names the saga and its key."""

    SAGA: ClassVar[str] = "inscription"
    KEY: ClassVar[str] = "inscription_id"

    inscription_id: Identifier


class InscriptionDemandee(InscriptionEvent):
    """A client asks for a place in a session. This event begins the saga."""

    TYPE: ClassVar[str] = "inscription.demandee"
    SAID_BY: ClassVar[str] = "client"

    participant_id: Identifier
    session_id: Identifier


class InscriptionAnnulationDemandee(InscriptionEvent):
    """A client asks to cancel the enrolment, whether it is confirmed or not."""

    TYPE: ClassVar[str] = "inscription.annulation_demandee"
    SAID_BY: ClassVar[str] = "client"

    raison: Reason


class PlaceReservee(InscriptionEvent):
    """A place is held for this enrolment."""

    TYPE: ClassVar[str] = "place.reservee"
    SAID_BY: ClassVar[str] = "place"

    session_id: Identifier


class PlaceRefusee(InscriptionEvent):
    """No place is held: the session is unknown or full, or the service gave up."""

    TYPE: ClassVar[str] = "place.refusee"
    SAID_BY: ClassVar[str] = "place"

    raison: Reason


class PlaceLiberee(InscriptionEvent):
    """The answer to a cancellation: the place is free again, or (null) none was held."""

    TYPE: ClassVar[str] = "place.liberee"
    SAID_BY: ClassVar[str] = "place"

    session_id: Identifier | None


class InscriptionConfirmee(InscriptionEvent):
    """The enrolment is confirmed."""

    TYPE: ClassVar[str] = "inscription.confirmee"
    SAID_BY: ClassVar[str] = "inscription"


class InscriptionAnnulee(InscriptionEvent):
    """The enrolment is cancelled; every service that can undo its work must answer."""

    TYPE: ClassVar[str] = "inscription.annulee"
    SAID_BY: ClassVar[str] = "inscription"

    raison: Reason
