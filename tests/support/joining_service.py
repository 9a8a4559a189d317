"""A service that waits for three events: it pays for a voyage once flight, hotel and car are booked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, select

from choregraphie import Key, ReadView, Row, Service, Transaction, on
from choregraphie.saga.envelope import Event
from choregraphie.saga.fields import Identifier, Reason


class VoyageEvent(Event):
    """A fact about one voyage."""

    SAGA: ClassVar[str] = "voyage"
    KEY: ClassVar[str] = "voyage_id"

    voyage_id: Identifier


class VolReserve(VoyageEvent):
    TYPE: ClassVar[str] = "vol.reserve"
    SAID_BY: ClassVar[str] = "vol"

    prix: int


class HotelReserve(VoyageEvent):
    TYPE: ClassVar[str] = "hotel.reserve"
    SAID_BY: ClassVar[str] = "hotel"

    prix: int


class VoitureReservee(VoyageEvent):
    TYPE: ClassVar[str] = "voiture.reservee"
    SAID_BY: ClassVar[str] = "voiture"

    prix: int


class VoyageAnnule(VoyageEvent):
    TYPE: ClassVar[str] = "voyage.annule"
    SAID_BY: ClassVar[str] = "agence"


class ReglementEffectue(VoyageEvent):
    TYPE: ClassVar[str] = "reglement.effectue"
    SAID_BY: ClassVar[str] = "reglement"

    total: int


class ReglementRefuse(VoyageEvent):
    TYPE: ClassVar[str] = "reglement.refuse"
    SAID_BY: ClassVar[str] = "reglement"

    raison: Reason


class ReglementRembourse(VoyageEvent):
    TYPE: ClassVar[str] = "reglement.rembourse"
    SAID_BY: ClassVar[str] = "reglement"

    total: int


Parts = tuple[VolReserve, HotelReserve, VoitureReservee]
TABLES = MetaData()


@dataclass
class Reglement(Row):
    TABLE: ClassVar = Table(
        "reglements", TABLES, Column("voyage_id", Text, primary_key=True), Column("total", Integer, nullable=False)
    )

    voyage_id: str
    total: int


def reglement(heard: Parts | VoyageAnnule, view: ReadView) -> Iterable[Key]:
    first = heard[0] if isinstance(heard, tuple) else heard
    return [Reglement.at(first.voyage_id)]


def regler(heard: Parts, tx: Transaction) -> Iterator[ReglementEffectue | ReglementRefuse]:
    # The three come in any order; before the last one nothing is paid.
    total = sum(part.prix for part in heard)
    if any(part.prix == 13 for part in heard):
        raise RuntimeError("thirteen is not a price")
    if any(part.prix == 0 for part in heard):
        yield ReglementRefuse(voyage_id=heard[0].voyage_id, raison="un prix manque")
        return
    tx.add(Reglement(heard[0].voyage_id, total))
    yield ReglementEffectue(voyage_id=heard[0].voyage_id, total=total)


def rembourser(heard: VoyageAnnule, tx: Transaction) -> Iterator[ReglementRembourse]:
    # A cancellation before the last booking leaves a tombstone: the bookings that still come pay nothing.
    regle = tx.find(Reglement, heard.voyage_id)
    tx.undo(regler)
    yield ReglementRembourse(voyage_id=heard.voyage_id, total=regle.total if regle else 0)


async def autoriser(heard: Parts, view: ReadView, externals: list[Any]) -> str:
    """Asks the bank, which remembers every request."""
    externals.append((view.idempotency_key(), tuple(part.TYPE for part in heard)))
    return "ok"


def regler_autorise(heard: Parts, tx: Transaction, answer: str) -> Iterator[ReglementEffectue | ReglementRefuse]:
    # The three come in any order; before the last one the bank is not asked.
    assert answer == "ok"
    yield from regler(heard, tx)


def inspect(connection: Connection) -> dict[str, Any]:
    total = connection.execute(select(func.count(), func.coalesce(func.sum(Reglement.TABLE.c.total), 0))).one()
    return {"reglements": {"nombre": total[0], "total": int(total[1])}}


BOOKED = (VolReserve, HotelReserve, VoitureReservee)

REGLEMENT = Service(
    "reglement",
    (
        on(BOOKED, regler, reads=reglement, gives_up=ReglementRefuse),
        on(VoyageAnnule, rembourser, reads=reglement, undoes=regler),
    ),
    tables=TABLES,
    inspect=inspect,
)

REGLEMENT_AUTORISE = Service(
    "reglement",
    (on(BOOKED, regler_autorise, reads=reglement, gives_up=ReglementRefuse, call=autoriser),),
    tables=TABLES,
    inspect=inspect,
)
