"""The saga as data: three bookings side by side, a payment that waits for all of them, one decider."""

from choregraphie.saga.choreography import Choreography, Deadline, Reaction, Step
from voyage.events import (
    HotelAnnule,
    HotelRefuse,
    HotelReserve,
    PaiementEchoue,
    PaiementEffectue,
    PaiementRembourse,
    VoitureAnnulee,
    VoitureRefusee,
    VoitureReservee,
    VolAnnule,
    VolRefuse,
    VolReserve,
    VoyageAnnulationDemandee,
    VoyageAnnule,
    VoyageConfirme,
    VoyageDemande,
    VoyageEvent,
)

# The payment begins when all of these were heard, in whatever order they come.
RESERVE = (VolReserve, HotelReserve, VoitureReservee)

CHOREOGRAPHY = Choreography(
    name=VoyageEvent.SAGA,
    noun=("voyage", "voyages"),
    starts=VoyageDemande,
    created=VoyageConfirme,
    cancelled=VoyageAnnule,
    cancel_asked=VoyageAnnulationDemandee,
    decider="agence",
    steps=(
        Step("vol", VoyageDemande, VolReserve, VolRefuse, VolAnnule),
        Step("hotel", VoyageDemande, HotelReserve, HotelRefuse, HotelAnnule),
        Step("voiture", VoyageDemande, VoitureReservee, VoitureRefusee, VoitureAnnulee),
        Step("paiement", RESERVE, PaiementEffectue, PaiementEchoue, PaiementRembourse),
        Step("agence", PaiementEffectue, VoyageConfirme),
    ),
    reactions=(
        Reaction("vol", VoyageDemande, (VolReserve, VolRefuse), refusal=VolRefuse),
        Reaction("vol", VoyageAnnule, (VolAnnule,), undoing=True, undoes=(VoyageDemande,)),
        Reaction("hotel", VoyageDemande, (HotelReserve, HotelRefuse), refusal=HotelRefuse),
        Reaction("hotel", VoyageAnnule, (HotelAnnule,), undoing=True, undoes=(VoyageDemande,)),
        Reaction("voiture", VoyageDemande, (VoitureReservee, VoitureRefusee), refusal=VoitureRefusee),
        Reaction("voiture", VoyageAnnule, (VoitureAnnulee,), undoing=True, undoes=(VoyageDemande,)),
        Reaction("paiement", RESERVE, (PaiementEffectue, PaiementEchoue), refusal=PaiementEchoue),
        Reaction("paiement", VoyageAnnule, (PaiementRembourse,), undoing=True, undoes=RESERVE),
        Reaction("agence", VoyageDemande, (VoyageConfirme, VoyageAnnule), decision=True),
        Reaction("agence", VolRefuse, (VoyageAnnule,), decision=True),
        Reaction("agence", HotelRefuse, (VoyageAnnule,), decision=True),
        Reaction("agence", VoitureRefusee, (VoyageAnnule,), decision=True),
        Reaction("agence", PaiementEchoue, (VoyageAnnule,), decision=True),
        Reaction("agence", PaiementEffectue, (VoyageConfirme,), decision=True),
        Reaction("agence", VoyageAnnulationDemandee, (VoyageAnnule,), decision=True),
    ),
    timed=(
        # Each of these proves that a voyage exists and must end. A demand to cancel proves nothing: its client may
        # name a voyage that never existed.
        Deadline(
            "agence",
            (VoyageAnnule,),
            after=(VoyageDemande, VolRefuse, HotelRefuse, VoitureRefusee, PaiementEchoue, PaiementEffectue),
        ),
    ),
    final=(VoyageConfirme, VolAnnule, HotelAnnule, VoitureAnnulee, PaiementRembourse),
    searched=("client_id", "raison", "reservation_id", "transaction_id"),
)
