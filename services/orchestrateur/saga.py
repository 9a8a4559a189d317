"""The order saga orchestrated: the same events, in answer to commands, in the order of these steps."""

from choregraphie.orchestration import Notice, Orchestration, Step
from choregraphie.saga.choreography import DecisionField
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.commands import (
    CommandeAnnuler,
    CommandeCreer,
    NotificationEnvoyer,
    NotificationPrevenir,
    PaiementDebiter,
    PaiementRembourser,
    StockLiberer,
    StockReserver,
    StockVendre,
)
from contracts.notification import NotificationEnvoyee
from contracts.paiement import PaiementEchoue, PaiementEffectue, PaiementRembourse
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve

ORCHESTRATION = Orchestration(
    name=CHOREOGRAPHY.name,
    noun=CHOREOGRAPHY.noun,
    service="orchestrateur",
    starts=CommandeInitiee,
    cancel_asked=CommandeAnnulationDemandee,
    steps=(
        Step("stock", StockReserver, StockReserve, StockReservationEchouee, StockLiberer, StockLibere),
        Step(
            "paiement",
            PaiementDebiter,
            PaiementEffectue,
            PaiementEchoue,
            PaiementRembourser,
            PaiementRembourse,
            timeout=5,
            tries=3,
            delay=1,
        ),
        Step(
            "commande",
            CommandeCreer,
            CommandeCreee,
            CommandeAnnulee,
            CommandeAnnuler,
            CommandeAnnulee,
            pivot=True,
        ),
        Step("notification", NotificationEnvoyer, NotificationEnvoyee),
    ),
    on_created=(Notice(StockVendre),),
    on_cancelled=(Notice(NotificationPrevenir, (NotificationEnvoyee,), undoes=(NotificationEnvoyer,)),),
    searched=CHOREOGRAPHY.searched,
    decision_field=DecisionField(
        "modele",
        {
            "confirmation": NotificationEnvoyer,
            "annulation": NotificationPrevenir,
            "rectificatif": NotificationPrevenir,
        },
    ),
)
