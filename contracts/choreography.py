"""The saga as data: who hears what, and what each may answer. Everything derived comes from here.

The topology's bindings, the monitor's idea of what remains, the diagram in the README and the check of the
services' reactions are all computed from `CHOREOGRAPHY`; nothing about the order of events stands elsewhere.
"""

from choregraphie.saga.choreography import Choreography, Deadline, DecisionField, Reaction, Step
from contracts.client import CommandeAnnulationDemandee, CommandeInitiee
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.notification import NotificationEnvoyee
from contracts.order import OrderEvent
from contracts.paiement import PaiementEchoue, PaiementEffectue, PaiementRembourse
from contracts.stock import StockLibere, StockReservationEchouee, StockReserve

CHOREOGRAPHY = Choreography(
    name=OrderEvent.SAGA,
    noun=("order", "orders"),
    starts=CommandeInitiee,
    created=CommandeCreee,
    cancelled=CommandeAnnulee,
    cancel_asked=CommandeAnnulationDemandee,
    decider="commande",
    steps=(
        Step("stock", CommandeInitiee, StockReserve, StockReservationEchouee, StockLibere),
        Step("paiement", StockReserve, PaiementEffectue, PaiementEchoue, PaiementRembourse),
        Step("commande", PaiementEffectue, CommandeCreee, CommandeAnnulee),
        Step("notification", CommandeCreee, NotificationEnvoyee),
    ),
    reactions=(
        Reaction(
            "stock",
            CommandeInitiee,
            (StockReserve, StockReservationEchouee),
            refusal=StockReservationEchouee,
        ),
        Reaction("stock", CommandeCreee),
        Reaction("stock", CommandeAnnulee, (StockLibere,), undoing=True, undoes=(CommandeInitiee, CommandeCreee)),
        Reaction("paiement", StockReserve, (PaiementEffectue, PaiementEchoue), refusal=PaiementEchoue),
        Reaction("paiement", CommandeAnnulee, (PaiementRembourse,), undoing=True, undoes=(StockReserve,)),
        Reaction("commande", CommandeInitiee, (CommandeCreee, CommandeAnnulee), decision=True),
        Reaction("commande", StockReservationEchouee, (CommandeAnnulee,), decision=True),
        Reaction("commande", PaiementEchoue, (CommandeAnnulee,), decision=True),
        Reaction("commande", PaiementEffectue, (CommandeCreee, CommandeAnnulee), decision=True),
        Reaction("commande", CommandeAnnulationDemandee, (CommandeAnnulee,), decision=True),
        Reaction("notification", CommandeCreee, (NotificationEnvoyee,), irreversible=True),
        # A message that was sent cannot be unsent: after a confirmation, this one is a correction.
        Reaction("notification", CommandeAnnulee, (NotificationEnvoyee,), undoes=(CommandeCreee,)),
    ),
    timed=(
        # Each of these events proves that an order exists and must end, even when the order itself never reaches
        # the decider. A demand to cancel proves nothing: its sender may name an order that never existed.
        Deadline(
            "commande",
            (CommandeAnnulee,),
            after=(CommandeInitiee, StockReservationEchouee, PaiementEchoue, PaiementEffectue),
        ),
    ),
    final=(StockLibere, PaiementRembourse, NotificationEnvoyee),
    searched=("client_id", "produit_id", "raison", "destinataire", "reservation_id", "transaction_id"),
    decision_field=DecisionField(
        "modele",
        {"confirmation": CommandeCreee, "annulation": CommandeAnnulee, "rectificatif": CommandeAnnulee},
    ),
)
