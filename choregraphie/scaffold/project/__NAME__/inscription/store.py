"""The table of the service: enrolments with their state."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from choregraphie import NOW, Instant, Key, ReadView, Row
from choregraphie.saga.envelope import Instance
from sqlalchemy import Boolean, Column, Connection, Index, MetaData, Table, Text, func, select

from __NAME__.contracts import InscriptionEvent

TABLES = MetaData()

# An enrolment that another event mentioned before the request itself came.
INCONNUE = "inconnue"
EN_ATTENTE = "en_attente"
CONFIRMEE = "confirmee"
ANNULEE = "annulee"


@dataclass
class Inscription(Row):
    """An enrolment. While it is INCONNUE, `reservee` and `raison` keep what came too early.

    echeance  when it is cancelled unless it is decided before
    cause     the id of the event that started this deadline
    attendue  until when a demand to cancel waits for the request, when nothing else has mentioned it
    """

    TABLE: ClassVar = Table(
        "inscriptions",
        TABLES,
        Column("inscription_id", Text, primary_key=True),
        Column("etat", Text, nullable=False),
        Column("reservee", Boolean, nullable=False),
        Column("raison", Text),
        Column("echeance", Instant),
        Column("cause", Text),
        Column("attendue", Instant),
        Index("inscriptions_echeance", "etat", "echeance"),
        Index("inscriptions_attendue", "attendue"),
    )

    inscription_id: str
    etat: str = INCONNUE
    reservee: bool = False
    raison: str | None = None
    echeance: dt.datetime | None = None
    cause: str | None = None
    attendue: dt.datetime | None = None

    def passer(self, de: tuple[str, ...], a: str) -> bool:
        """Compare and set: go to state `a` if the state is one of `de`. Returns whether it did."""
        if self.etat not in de:
            return False
        self.etat = a
        return True


ECHUES = select(Inscription.TABLE.c.inscription_id).where(
    Inscription.TABLE.c.etat.in_((INCONNUE, EN_ATTENTE)), Inscription.TABLE.c.echeance <= NOW
)


# Enrolments that only demands to cancel have mentioned, and that cannot come any more.
JAMAIS_DEMANDEES = select(Inscription.TABLE.c.inscription_id).where(
    Inscription.TABLE.c.etat == INCONNUE, Inscription.TABLE.c.attendue < NOW
)


def inscription(heard: InscriptionEvent, view: ReadView) -> Iterable[Key]:
    return [Inscription.at(heard.inscription_id)]


def inspect(connection: Connection) -> dict[str, Any]:
    etat = Inscription.TABLE.c.etat
    found: dict[str, int] = dict(connection.execute(select(etat, func.count()).group_by(etat)).all())
    return {"inscriptions": {name: found.get(name, 0) for name in (INCONNUE, EN_ATTENTE, CONFIRMEE, ANNULEE)}}


def annulees(connection: Connection) -> Iterable[Instance]:
    """Every enrolment ever cancelled."""
    table = Inscription.TABLE
    query = select(table.c.inscription_id).where(table.c.etat == ANNULEE).order_by(table.c.inscription_id)
    return (Instance(InscriptionEvent.SAGA, key) for key in connection.scalars(query))
