"""A small application in one module, as a team writes it: a workshop repairs devices, and the desk decides.

It imports the installed library alone, so that it can be copied into an empty folder. `APP` runs both services;
of `FOREIGN`, the workshop is written elsewhere.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, MetaData, Table, Text, func, select

from choregraphie import NOW, Application, Instant, Key, ReadView, Row, Service, Transaction, every, on
from choregraphie.saga.choreography import Choreography, Deadline, Reaction, Step
from choregraphie.saga.envelope import Event, Instance
from choregraphie.saga.fields import Identifier, Reason


class ReparationEvent(Event):
    """A fact about one repair."""

    SAGA: ClassVar[str] = "reparation"
    KEY: ClassVar[str] = "reparation_id"

    reparation_id: Identifier


class ReparationDemandee(ReparationEvent):
    TYPE: ClassVar[str] = "reparation.demandee"
    SAID_BY: ClassVar[str] = "client"

    appareil: Identifier


class ReparationAnnulationDemandee(ReparationEvent):
    TYPE: ClassVar[str] = "reparation.annulation_demandee"
    SAID_BY: ClassVar[str] = "client"

    raison: Reason


class AppareilRepare(ReparationEvent):
    TYPE: ClassVar[str] = "appareil.repare"
    SAID_BY: ClassVar[str] = "atelier"


class AppareilRefuse(ReparationEvent):
    TYPE: ClassVar[str] = "appareil.refuse"
    SAID_BY: ClassVar[str] = "atelier"

    raison: Reason


class AppareilRendu(ReparationEvent):
    TYPE: ClassVar[str] = "appareil.rendu"
    SAID_BY: ClassVar[str] = "atelier"


class ReparationTerminee(ReparationEvent):
    TYPE: ClassVar[str] = "reparation.terminee"
    SAID_BY: ClassVar[str] = "accueil"


class ReparationAnnulee(ReparationEvent):
    TYPE: ClassVar[str] = "reparation.annulee"
    SAID_BY: ClassVar[str] = "accueil"

    raison: Reason


SAGA = Choreography(
    name="reparation",
    noun=("repair", "repairs"),
    starts=ReparationDemandee,
    created=ReparationTerminee,
    cancelled=ReparationAnnulee,
    cancel_asked=ReparationAnnulationDemandee,
    decider="accueil",
    steps=(
        Step("atelier", ReparationDemandee, AppareilRepare, AppareilRefuse, AppareilRendu),
        Step("accueil", AppareilRepare, ReparationTerminee),
    ),
    reactions=(
        Reaction("atelier", ReparationDemandee, (AppareilRepare, AppareilRefuse), refusal=AppareilRefuse),
        Reaction("atelier", ReparationAnnulee, (AppareilRendu,), undoing=True, undoes=(ReparationDemandee,)),
        Reaction("accueil", ReparationDemandee, (ReparationTerminee, ReparationAnnulee), decision=True),
        Reaction("accueil", AppareilRepare, (ReparationTerminee,), decision=True),
        Reaction("accueil", AppareilRefuse, (ReparationAnnulee,), decision=True),
        Reaction("accueil", ReparationAnnulationDemandee, (ReparationAnnulee,), decision=True),
    ),
    timed=(Deadline("accueil", (ReparationAnnulee,), after=(ReparationDemandee, AppareilRepare, AppareilRefuse)),),
    final=(AppareilRendu, ReparationTerminee),
)

# The workshop.


def reparer(heard: ReparationDemandee, tx: Transaction) -> Iterator[AppareilRepare | AppareilRefuse]:
    # Nothing comes before it but the cancellation, which leaves a tombstone.
    if heard.appareil == "GRILLE-PAIN":
        yield AppareilRefuse(reparation_id=heard.reparation_id, raison="irréparable")
        return
    yield AppareilRepare(reparation_id=heard.reparation_id)


def rendre(heard: ReparationAnnulee, tx: Transaction) -> Iterator[AppareilRendu]:
    # Before the demand: a tombstone, and the demand repairs nothing.
    tx.undo(reparer)
    yield AppareilRendu(reparation_id=heard.reparation_id)


ATELIER = Service(
    "atelier",
    (
        on(ReparationDemandee, reparer, gives_up=AppareilRefuse),
        on(ReparationAnnulee, rendre, undoes=reparer),
    ),
)

# The desk, which decides.

DOSSIERS = MetaData()


@dataclass
class Dossier(Row):
    TABLE: ClassVar = Table(
        "dossiers",
        DOSSIERS,
        Column("reparation_id", Text, primary_key=True),
        Column("etat", Text, nullable=False),
        Column("verdict", Text),
        Column("raison", Text),
        Column("echeance", Instant),
        Column("cause", Text),
    )

    reparation_id: str
    etat: str = "inconnu"
    verdict: str | None = None
    raison: str | None = None
    echeance: dt.datetime | None = None
    cause: str | None = None


def dossier(heard: ReparationEvent, view: ReadView) -> Iterable[Key]:
    return [Dossier.at(heard.reparation_id)]


def _dossier(heard: ReparationEvent, tx: Transaction) -> Dossier:
    found = tx.find(Dossier, heard.reparation_id)
    if found is None:
        found = Dossier(heard.reparation_id)
        tx.add(found)
    if found.echeance is None and not isinstance(heard, ReparationAnnulationDemandee):
        found.echeance, found.cause = tx.deadline, tx.cause
    return found


def _terminer(ouvert: Dossier) -> Iterator[ReparationTerminee]:
    if ouvert.etat == "ouvert":
        ouvert.etat = "termine"
        yield ReparationTerminee(reparation_id=ouvert.reparation_id)


def _annuler(connu: Dossier, raison: str) -> Iterator[ReparationAnnulee]:
    if connu.etat in {"ouvert", "termine"}:
        connu.etat, connu.raison = "annule", raison
        yield ReparationAnnulee(reparation_id=connu.reparation_id, raison=raison)
    elif connu.etat == "inconnu":
        connu.raison = connu.raison or raison


def ouvrir(heard: ReparationDemandee, tx: Transaction) -> Iterator[ReparationTerminee | ReparationAnnulee]:
    # The file keeps whatever has overtaken the demand.
    connu = _dossier(heard, tx)
    if connu.etat != "inconnu":
        return
    connu.etat = "ouvert"
    if connu.raison:
        yield from _annuler(connu, connu.raison)
    elif connu.verdict == "repare":
        yield from _terminer(connu)


def terminer(heard: AppareilRepare, tx: Transaction) -> Iterator[ReparationTerminee]:
    # Before the demand: kept in the file.
    connu = _dossier(heard, tx)
    connu.verdict = "repare"
    yield from _terminer(connu)


def refuser(heard: AppareilRefuse, tx: Transaction) -> Iterator[ReparationAnnulee]:
    # Before the demand: kept in the file.
    yield from _annuler(_dossier(heard, tx), heard.raison)


def annuler(heard: ReparationAnnulationDemandee, tx: Transaction) -> Iterator[ReparationAnnulee]:
    # Before the demand: kept in the file.
    yield from _annuler(_dossier(heard, tx), heard.raison)


def expirer(connu: Dossier, tx: Transaction) -> Iterator[ReparationAnnulee]:
    if connu.etat in {"inconnu", "ouvert"}:
        connu.etat, connu.raison = "annule", connu.raison or "délai dépassé"
        yield ReparationAnnulee(reparation_id=connu.reparation_id, raison=connu.raison)


def annules(connection: Connection) -> Iterable[Instance]:
    query = select(Dossier.TABLE.c.reparation_id).where(Dossier.TABLE.c.etat == "annule")
    return (Instance("reparation", key) for key in connection.scalars(query))


def dossiers(connection: Connection) -> dict[str, Any]:
    etat = Dossier.TABLE.c.etat
    counted: dict[str, int] = dict(connection.execute(select(etat, func.count()).group_by(etat)).all())
    return {"dossiers": {name: counted.get(name, 0) for name in ("inconnu", "ouvert", "termine", "annule")}}


ECHUS = select(Dossier.TABLE.c.reparation_id).where(
    Dossier.TABLE.c.etat.in_(("inconnu", "ouvert")), Dossier.TABLE.c.echeance <= NOW
)

ACCUEIL = Service(
    "accueil",
    (
        on(ReparationDemandee, ouvrir, reads=dossier),
        on(AppareilRepare, terminer, reads=dossier),
        on(AppareilRefuse, refuser, reads=dossier),
        on(ReparationAnnulationDemandee, annuler, reads=dossier),
    ),
    tables=DOSSIERS,
    inspect=dossiers,
    timed=(every(1.0, expirer, of=Dossier, due=ECHUS),),
    cancelled=annules,
)

APP = Application(name="reparations", sagas=(SAGA,), services=(ATELIER, ACCUEIL))
FOREIGN = Application(name="reparations", sagas=(SAGA,), services=(Service("atelier", foreign=True), ACCUEIL))
