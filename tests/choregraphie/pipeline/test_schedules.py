"""Timed reactions: a row that breaks one delays neither the schedule nor the other rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
from sqlalchemy import Column, MetaData, Table, Text, select

from choregraphie import Row, Service, Settings, Transaction, every
from choregraphie.storage.schedules import MOST_DUE, PUT_OFF
from choregraphie.testing import ServiceHarness, open_harness
from contracts.commande import CommandeAnnulee

TABLES = MetaData()


@dataclass
class Attente(Row):
    TABLE: ClassVar = Table(
        "attentes",
        TABLES,
        Column("commande_id", Text, primary_key=True),
        Column("etat", Text, nullable=False),
        Column("cause", Text),
    )

    commande_id: str
    etat: str
    cause: str | None = None


@dataclass
class Fin(Row):
    """Of which the seed adds one, so that another breaks the primary key."""

    TABLE: ClassVar = Table("fins", TABLES, Column("fin_id", Text, primary_key=True))

    fin_id: str


def finir(attente: Attente, tx: Transaction) -> Iterator[CommandeAnnulee]:
    if attente.etat == "cassee":
        raise KeyError(attente.commande_id)
    if attente.etat == "impossible":
        tx.add(Fin("la seule"))
    attente.etat = "finie"
    yield CommandeAnnulee(commande_id=attente.commande_id, raison="finie")


_ROWS = Attente.TABLE.c
DUE_ROWS = select(_ROWS.commande_id).where(_ROWS.etat != "finie").order_by(_ROWS.commande_id)


def service(broken: int, how: str = "cassee") -> Service:
    rows = [*(Attente(f"A-{n:04}", how) for n in range(broken)), Attente("B", "saine"), Fin("la seule")]
    return Service(
        "commande",
        (),
        TABLES,
        inspect=lambda connection: {},
        timed=(every(1.0, finir, of=Attente, due=DUE_ROWS),),
        seed=lambda _: rows,
    )


@pytest.fixture
def many_broken(settings: Settings, database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    wanted = settings.model_copy(update={"database_url": database_for("commande")})
    with open_harness(service(broken=MOST_DUE), wanted) as harness:
        yield harness


def test_a_whole_batch_of_broken_rows_does_not_delay_the_next_row(many_broken: ServiceHarness) -> None:
    assert many_broken.tick() == []
    assert [event.key for event in many_broken.tick(1)] == ["B"]


def test_a_broken_row_is_tried_again(settings: Settings) -> None:
    with open_harness(service(broken=1), settings) as harness:
        harness.tick()
        with harness.database.begin() as connection:
            connection.exec_driver_sql("UPDATE attentes SET etat = 'saine' WHERE etat = 'cassee'")
        assert harness.tick(1) == []
        assert [event.key for event in harness.tick(PUT_OFF.seconds)] == ["A-0000"]


def test_a_row_whose_reaction_breaks_a_constraint_does_not_delay_the_next_row(settings: Settings) -> None:
    with open_harness(service(broken=1, how="impossible"), settings) as harness:
        assert [event.key for event in harness.tick()] == ["B"]
        assert harness.tick(1) == []
