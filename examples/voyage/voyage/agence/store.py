"""The table of the agency: the voyages with their state."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Boolean, Column, Connection, MetaData, Table, Text, func, select

from choregraphie import NOW, Instant, Key, ReadView, Row
from choregraphie.saga.envelope import Instance
from voyage.events import VoyageEvent

TABLES = MetaData()

# Another event mentioned it before the request itself came.
INCONNU = "inconnu"
EN_COURS = "en_cours"
CONFIRME = "confirme"
ANNULE = "annule"


@dataclass
class Voyage(Row):
    """A voyage. While it is INCONNU, `paye` and `raison` keep what came too early.

    echeance          when it is cancelled unless it is decided before
    cause             the id of the event that started this deadline
    echeance_demande  until when a demand to cancel waits for a voyage that nothing else has mentioned
    """

    TABLE: ClassVar = Table(
        "voyages",
        TABLES,
        Column("voyage_id", Text, primary_key=True),
        Column("etat", Text, nullable=False),
        Column("paye", Boolean, nullable=False),
        Column("raison", Text),
        Column("echeance", Instant),
        Column("cause", Text),
        Column("echeance_demande", Instant),
    )

    voyage_id: str
    etat: str
    paye: bool = False
    raison: str | None = None
    echeance: dt.datetime | None = None
    cause: str | None = None
    echeance_demande: dt.datetime | None = None

    def passer(self, de: tuple[str, ...], a: str) -> bool:
        """Compare and set: go to state `a` if the state is one of `de`. Returns whether it did.

        The row is locked from its reading on, so of two decisions that race exactly one finds the state it needs.
        """
        if self.etat not in de:
            return False
        self.etat = a
        return True


def voyage(heard: VoyageEvent, view: ReadView) -> Iterable[Key]:
    return [Voyage.at(heard.voyage_id)]


ECHUS = (
    select(Voyage.TABLE.c.voyage_id)
    .where(Voyage.TABLE.c.etat.in_((INCONNU, EN_COURS)), Voyage.TABLE.c.echeance <= NOW)
    .order_by(Voyage.TABLE.c.echeance)
)

# Voyages that only demands to cancel have mentioned, and that cannot come any more.
JAMAIS_DEMANDES = select(Voyage.TABLE.c.voyage_id).where(
    Voyage.TABLE.c.etat == INCONNU, Voyage.TABLE.c.echeance_demande < NOW
)


def inspect(connection: Connection) -> dict[str, Any]:
    etat = Voyage.TABLE.c.etat
    found: dict[str, int] = dict(connection.execute(select(etat, func.count()).group_by(etat)).all())
    return {"voyages": {name: found.get(name, 0) for name in (EN_COURS, CONFIRME, ANNULE, INCONNU)}}


def annules(connection: Connection) -> Iterable[Instance]:
    """Every voyage ever cancelled."""
    table = Voyage.TABLE
    query = select(table.c.voyage_id).where(table.c.etat == ANNULE).order_by(table.c.voyage_id)
    return (Instance(VoyageEvent.SAGA, key) for key in connection.scalars(query))
