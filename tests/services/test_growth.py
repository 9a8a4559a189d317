"""Clients can name orders that do not exist; no row about them is kept for ever."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from choregraphie import Settings
from choregraphie.saga.envelope import Event
from choregraphie.storage.inbox import METADATA
from choregraphie.testing import ServiceHarness, open_harness
from contracts.commande import CommandeAnnulee
from scripts.nemesis.private_postgres import PrivatePostgres
from services.commande import SERVICE
from services.commande.store import TABLES, Client, Commande
from tests.support.event_builders import CMD, demande, initiee, payee, sans_stock

RETENTION = dt.timedelta(days=30)
DEADLINE = dt.timedelta(seconds=900)
ALWAYS_THERE = {"service", Client.TABLE.name}


@pytest.fixture
def harness(database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    with open_harness(SERVICE, Settings(database_url=database_for("commande"), deadline=900)) as opened:
        yield opened


def purge(harness: ServiceHarness) -> int:
    """Purge until nothing is left to purge, as a worker does. Returns the number of rows."""
    rows = 0
    while more := harness.store.purge():
        rows += more
    return rows


def rows(harness: ServiceHarness) -> dict[str, int]:
    """The number of rows of each table that is not empty."""
    tables = [*METADATA.sorted_tables, *TABLES.sorted_tables]
    with harness.database.begin() as connection:
        counts = {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables}
    return {name: count for name, count in counts.items() if count and name not in ALWAYS_THERE}


def test_cancellation_requests_without_an_order_leave_no_rows(harness: ServiceHarness) -> None:
    for start in range(0, 2000, 200):
        harness.hear(*(demande(f"NEVER-{number}") for number in range(start, start + 200)))
    assert rows(harness) == {"inbox": 2000, "journal": 2000, "commandes": 2000}
    harness.tick(1)
    harness.now += DEADLINE + RETENTION
    purge(harness)
    assert rows(harness) == {}
    assert harness.said == []


def test_a_cancellation_request_is_kept_as_long_as_its_order_may_arrive(harness: ServiceHarness) -> None:
    """The order may be a dead letter that is redriven later."""
    harness.hear(demande())
    harness.now += RETENTION + DEADLINE - dt.timedelta(seconds=1)
    purge(harness)
    assert harness.hear(initiee()) == [CommandeAnnulee(commande_id=CMD, raison="changement d'avis")]


def test_a_purged_request_has_no_effect(harness: ServiceHarness) -> None:
    harness.hear(demande())
    harness.now += RETENTION + DEADLINE + dt.timedelta(seconds=1)
    purge(harness)
    assert harness.hear(initiee()) == []
    assert harness.inspect()["commandes"]["en_attente"] == 1
    assert [type(said) for said in harness.hear(demande())] == [CommandeAnnulee]


@pytest.mark.parametrize("spoken", [(sans_stock(), demande()), (demande(), payee()), (demande(), initiee())])
def test_an_event_of_a_service_or_of_a_client_proves_an_order(
    harness: ServiceHarness, spoken: tuple[Event, ...]
) -> None:
    for event in spoken:
        harness.hear(event)
    harness.tick(DEADLINE.total_seconds())
    assert harness.inspect()["commandes"]["annulees"] == 1
    harness.now += 2 * RETENTION
    purge(harness)
    assert harness.inspect()["commandes"] == {
        "total": 1,
        "en_attente": 0,
        "creees": 0,
        "annulees": 1,
        "inconnues": 0,
    }
    # A second order with its id has no effect.
    assert harness.hear(initiee()) == []


def test_cancellation_requests_do_not_delay_orders_that_are_due(harness: ServiceHarness) -> None:
    harness.hear(*(demande(f"NEVER-{number}") for number in range(500)), initiee())
    assert harness.tick(DEADLINE.total_seconds()) == [CommandeAnnulee(commande_id=CMD, raison="délai dépassé")]


def test_a_purge_skips_rows_that_another_worker_has_locked(postgres: PrivatePostgres) -> None:
    name = f"growth_{uuid.uuid4().hex[:8]}"
    postgres.create(name)
    settings = Settings(database_url=postgres.url(name), deadline=900)
    with open_harness(SERVICE, settings) as harness, open_harness(SERVICE, settings) as other:
        harness.hear(demande())
        harness.now += RETENTION + DEADLINE + dt.timedelta(seconds=1)
        with other.database.begin() as connection:
            taken = select(Commande.TABLE).where(Commande.TABLE.c.commande_id == CMD).with_for_update()
            connection.execute(taken).one()
            purge(harness)
        assert rows(harness)["commandes"] == 1
        purge(harness)
        assert rows(harness) == {}
