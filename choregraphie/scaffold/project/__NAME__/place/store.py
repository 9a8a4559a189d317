"""The tables of the service: sessions with their places, and the places that are held."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from choregraphie import Key, ReadView, Row
from sqlalchemy import CheckConstraint, Column, Connection, Integer, MetaData, Table, Text, select

from __NAME__.contracts import InscriptionAnnulee, InscriptionDemandee

TABLES = MetaData()


@dataclass
class Session(Row):
    """A session; `places` in all, of which `libres` are free."""

    TABLE: ClassVar = Table(
        "sessions",
        TABLES,
        Column("session_id", Text, primary_key=True),
        Column("places", Integer, nullable=False),
        Column("libres", Integer, nullable=False),
        CheckConstraint("libres >= 0 AND libres <= places", name="jamais_surreservee"),
    )

    session_id: str
    places: int
    libres: int


@dataclass
class Reservation(Row):
    """The place of one enrolment. `etat` is `retenue` or `liberee`."""

    TABLE: ClassVar = Table(
        "reservations",
        TABLES,
        Column("inscription_id", Text, primary_key=True),
        Column("session_id", Text, nullable=False),
        Column("etat", Text, nullable=False),
    )

    inscription_id: str
    session_id: str
    etat: str = "retenue"


def session_demandee(heard: InscriptionDemandee, view: ReadView) -> Iterable[Key]:
    return [Session.at(heard.session_id)]


def reservation(heard: InscriptionAnnulee, view: ReadView) -> Iterable[Key]:
    return [Reservation.at(heard.inscription_id)]


def session_reservee(heard: InscriptionAnnulee, view: ReadView) -> Iterable[Key]:
    """The session of the reservation, known once the reservation is read."""
    tenue = view.find(Reservation, heard.inscription_id)
    return [Session.at(tenue.session_id)] if tenue else []


def seed(catalogue: Mapping[str, Any]) -> Iterable[Row]:
    return [Session(name, places, places) for name, places in catalogue.get("sessions", {}).items()]


def inspect(connection: Connection) -> dict[str, Any]:
    sessions = connection.execute(select(Session.TABLE).order_by(Session.TABLE.c.session_id))
    return {"sessions": {row.session_id: {"places": row.places, "libres": row.libres} for row in sessions}}
