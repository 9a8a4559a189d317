"""An application of three sagas, for tests of the monitor: orders, returns and voyages.

Stock and paiement take part in orders and in returns, paiement also in voyages. A voyage has a join: paiement
waits for the flight and for the hotel, which are booked in parallel.
"""

import types
from typing import Any, ClassVar, cast

from choregraphie import Application
from choregraphie.saga.choreography import Choreography, Reaction, Step
from choregraphie.saga.envelope import Event, Instance
from choregraphie.saga.fields import Identifier
from choregraphie.service.service import Service
from contracts.choreography import CHOREOGRAPHY as ORDERS
from services.application import APP


class RetourEvent(Event):
    """A fact about the return of what was ordered."""

    SAGA: ClassVar[str] = "retour"
    KEY: ClassVar[str] = "retour_id"
    REASON: ClassVar[str] = "motif"

    retour_id: Identifier
    commande_id: Identifier = "CMD-1"
    motif: str | None = None


class VoyageEvent(Event):
    """A fact about one voyage."""

    SAGA: ClassVar[str] = "voyage"
    KEY: ClassVar[str] = "voyage_id"

    voyage_id: Identifier
    raison: str | None = None


def _event(base: type[Event], type_: str, said_by: str = "") -> type[Event]:
    """The class of the events of `type_`, said by the service that it begins with unless another is given."""
    names = {"TYPE": type_, "SAID_BY": said_by or type_.partition(".")[0], "__module__": __name__}
    name = type_.title().replace(".", "").replace("_", "")
    return cast("type[Event]", types.new_class(name, (base,), exec_body=lambda space: space.update(names)))


RETOUR_DEMANDE = _event(RetourEvent, "retour.demande", "client")
RETOUR_ABANDONNE = _event(RetourEvent, "retour.abandon_demande", "client")
RETOUR_RECU = _event(RetourEvent, "stock.retour_recu")
RETOUR_ABIME = _event(RetourEvent, "stock.retour_abime")
RETOUR_RENVOYE = _event(RetourEvent, "stock.retour_renvoye")
AVOIR_VERSE = _event(RetourEvent, "paiement.avoir_verse")
AVOIR_IMPOSSIBLE = _event(RetourEvent, "paiement.avoir_impossible")
AVOIR_REPRIS = _event(RetourEvent, "paiement.avoir_repris")
RETOUR_ACCEPTE = _event(RetourEvent, "retours.accepte")
RETOUR_REFUSE = _event(RetourEvent, "retours.refuse")

RETURNS = Choreography(
    name=RetourEvent.SAGA,
    noun=("return", "returns"),
    starts=RETOUR_DEMANDE,
    created=RETOUR_ACCEPTE,
    cancelled=RETOUR_REFUSE,
    cancel_asked=RETOUR_ABANDONNE,
    decider="retours",
    steps=(
        Step("stock", RETOUR_DEMANDE, RETOUR_RECU, RETOUR_ABIME, RETOUR_RENVOYE),
        Step("paiement", RETOUR_RECU, AVOIR_VERSE, AVOIR_IMPOSSIBLE, AVOIR_REPRIS),
        Step("retours", AVOIR_VERSE, RETOUR_ACCEPTE, RETOUR_REFUSE),
    ),
    reactions=(
        Reaction("stock", RETOUR_DEMANDE, (RETOUR_RECU, RETOUR_ABIME), refusal=RETOUR_ABIME),
        Reaction("stock", RETOUR_REFUSE, (RETOUR_RENVOYE,), undoing=True, undoes=(RETOUR_DEMANDE,)),
        Reaction("paiement", RETOUR_RECU, (AVOIR_VERSE, AVOIR_IMPOSSIBLE), refusal=AVOIR_IMPOSSIBLE),
        Reaction("paiement", RETOUR_REFUSE, (AVOIR_REPRIS,), undoing=True, undoes=(RETOUR_RECU,)),
        Reaction("retours", RETOUR_ABIME, (RETOUR_REFUSE,), decision=True),
        Reaction("retours", AVOIR_IMPOSSIBLE, (RETOUR_REFUSE,), decision=True),
        Reaction("retours", RETOUR_ABANDONNE, (RETOUR_REFUSE,), decision=True),
        Reaction("retours", AVOIR_VERSE, (RETOUR_ACCEPTE, RETOUR_REFUSE), decision=True),
    ),
    timed=(),
    final=(RETOUR_RENVOYE, AVOIR_REPRIS, RETOUR_ACCEPTE),
    searched=("commande_id", "motif"),
)

VOYAGE_DEMANDE = _event(VoyageEvent, "voyage.demande", "client")
VOYAGE_ABANDONNE = _event(VoyageEvent, "voyage.abandon_demande", "client")
VOL_RESERVE = _event(VoyageEvent, "vol.reserve")
VOL_COMPLET = _event(VoyageEvent, "vol.complet")
VOL_LIBERE = _event(VoyageEvent, "vol.libere")
HOTEL_RESERVE = _event(VoyageEvent, "hotel.reserve")
HOTEL_COMPLET = _event(VoyageEvent, "hotel.complet")
HOTEL_LIBERE = _event(VoyageEvent, "hotel.libere")
VOYAGE_REGLE = _event(VoyageEvent, "paiement.voyage_regle")
VOYAGE_IMPAYE = _event(VoyageEvent, "paiement.voyage_impaye")
VOYAGE_REMBOURSE = _event(VoyageEvent, "paiement.voyage_rembourse")
VOYAGE_CONFIRME = _event(VoyageEvent, "agence.voyage_confirme")
VOYAGE_ANNULE = _event(VoyageEvent, "agence.voyage_annule")
BOOKED: Any = (VOL_RESERVE, HOTEL_RESERVE)

VOYAGES = Choreography(
    name=VoyageEvent.SAGA,
    noun=("voyage", "voyages"),
    starts=VOYAGE_DEMANDE,
    created=VOYAGE_CONFIRME,
    cancelled=VOYAGE_ANNULE,
    cancel_asked=VOYAGE_ABANDONNE,
    decider="agence",
    steps=(
        Step("vol", VOYAGE_DEMANDE, VOL_RESERVE, VOL_COMPLET, VOL_LIBERE),
        Step("hotel", VOYAGE_DEMANDE, HOTEL_RESERVE, HOTEL_COMPLET, HOTEL_LIBERE),
        Step("paiement", BOOKED, VOYAGE_REGLE, VOYAGE_IMPAYE, VOYAGE_REMBOURSE, name="reglement"),
        Step("agence", VOYAGE_REGLE, VOYAGE_CONFIRME, VOYAGE_ANNULE),
    ),
    reactions=(
        Reaction("vol", VOYAGE_DEMANDE, (VOL_RESERVE, VOL_COMPLET), refusal=VOL_COMPLET),
        Reaction("vol", VOYAGE_ANNULE, (VOL_LIBERE,), undoing=True, undoes=(VOYAGE_DEMANDE,)),
        Reaction("hotel", VOYAGE_DEMANDE, (HOTEL_RESERVE, HOTEL_COMPLET), refusal=HOTEL_COMPLET),
        Reaction("hotel", VOYAGE_ANNULE, (HOTEL_LIBERE,), undoing=True, undoes=(VOYAGE_DEMANDE,)),
        Reaction("paiement", BOOKED, (VOYAGE_REGLE, VOYAGE_IMPAYE), refusal=VOYAGE_IMPAYE),
        Reaction("paiement", VOYAGE_ANNULE, (VOYAGE_REMBOURSE,), undoing=True, undoes=BOOKED),
        Reaction("agence", VOL_COMPLET, (VOYAGE_ANNULE,), decision=True),
        Reaction("agence", HOTEL_COMPLET, (VOYAGE_ANNULE,), decision=True),
        Reaction("agence", VOYAGE_IMPAYE, (VOYAGE_ANNULE,), decision=True),
        Reaction("agence", VOYAGE_ABANDONNE, (VOYAGE_ANNULE,), decision=True),
        Reaction("agence", VOYAGE_REGLE, (VOYAGE_CONFIRME, VOYAGE_ANNULE), decision=True),
    ),
    timed=(),
    final=(VOL_LIBERE, HOTEL_LIBERE, VOYAGE_REMBOURSE, VOYAGE_CONFIRME),
    searched=("raison",),
)


def _without_code(name: str) -> Service:
    return Service(name)


SEVERAL = Application(
    name="several",
    sagas=(ORDERS, RETURNS, VOYAGES),
    services=(*APP.services, *map(_without_code, ("retours", "vol", "hotel", "agence"))),
    settings=APP.settings,
    command="python -m several",
)


def retour(key: str) -> Instance:
    """The return with that key."""
    return Instance(RETURNS.name, key)


def voyage(key: str) -> Instance:
    """The voyage with that key."""
    return Instance(VOYAGES.name, key)
