"""The saga as data: who hears what, and what each may answer. Queues, proofs and diagrams follow from it."""

from choregraphie.saga.choreography import Choreography, Deadline, Reaction, Step

from __NAME__.contracts import (
    InscriptionAnnulationDemandee,
    InscriptionAnnulee,
    InscriptionConfirmee,
    InscriptionDemandee,
    InscriptionEvent,
    PlaceLiberee,
    PlaceRefusee,
    PlaceReservee,
)

CHOREOGRAPHY = Choreography(
    name=InscriptionEvent.SAGA,
    noun=("enrolment", "enrolments"),
    starts=InscriptionDemandee,
    created=InscriptionConfirmee,
    cancelled=InscriptionAnnulee,
    cancel_asked=InscriptionAnnulationDemandee,
    decider="inscription",
    steps=(
        Step("place", InscriptionDemandee, PlaceReservee, PlaceRefusee, PlaceLiberee),
        Step("inscription", PlaceReservee, InscriptionConfirmee),
    ),
    reactions=(
        Reaction("place", InscriptionDemandee, (PlaceReservee, PlaceRefusee), refusal=PlaceRefusee),
        Reaction("place", InscriptionAnnulee, (PlaceLiberee,), undoing=True, undoes=(InscriptionDemandee,)),
        Reaction("inscription", InscriptionDemandee, (InscriptionConfirmee, InscriptionAnnulee), decision=True),
        Reaction("inscription", PlaceReservee, (InscriptionConfirmee,), decision=True),
        Reaction("inscription", PlaceRefusee, (InscriptionAnnulee,), decision=True),
        Reaction("inscription", InscriptionAnnulationDemandee, (InscriptionAnnulee,), decision=True),
    ),
    timed=(
        # Each of these proves that an enrolment exists and must end. A demand to cancel proves nothing: its sender
        # may name one that never existed.
        Deadline("inscription", (InscriptionAnnulee,), after=(InscriptionDemandee, PlaceReservee, PlaceRefusee)),
    ),
    final=(PlaceLiberee, InscriptionConfirmee),
    searched=("participant_id", "session_id", "raison"),
)
