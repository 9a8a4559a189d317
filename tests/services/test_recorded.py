"""Each service goes on with a database that was recorded from the first version.

`version-1` holds a dump of each database, of SQLite and of PostgreSQL, made by that version after these events:

    stock          WAITS, SOLD and UNDONE ordered (2, 1, 3); SOLD created; UNDONE cancelled; EARLY cancelled
    paiement       PAID and UNDONE taken (10, 20); UNDONE cancelled; EARLY cancelled
    commande       WAITS, PAID and UNDONE ordered; PAID paid; EARLY paid; UNDONE cancelled by its customer
    notification   SOLD and UNDONE created; UNDONE cancelled; EARLY cancelled

The last event of each is in the outbox and not yet published.
"""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from choregraphie import Settings
from choregraphie.storage.migrations import MIGRATIONS
from choregraphie.testing import ServiceHarness, open_harness
from services.application import APP
from services.paiement.passerelle import PasserelleSimulee
from tests.services.stores import NullCourrier
from tests.support.event_builders import annulee, creee, initiee, payee, reserve

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.saga.envelope import Event
    from scripts.nemesis.private_postgres import PrivatePostgres

RECORDED = Path(__file__).with_name("version-1")
OUTSIDE: dict[str, Any] = {"paiement": PasserelleSimulee(0, 0, 0), "notification": NullCourrier()}


@pytest.fixture(params=["sqlite", "postgresql"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Settings]:
    """The settings that lead a service to its old database."""

    def restore(service: str) -> Settings:
        dump = (RECORDED / f"{service}.{request.param}.sql").read_text()
        if request.param == "sqlite":
            file = tmp_path / f"{service}.sqlite3"
            with closing(sqlite3.connect(file)) as connection:
                connection.executescript(dump)
            return Settings(database_url=f"sqlite:///{file}")
        server: PrivatePostgres = request.getfixturevalue("postgres")
        name = f"old_{service}_{uuid.uuid4().hex[:8]}"
        server.create(name)
        with psycopg.connect(server.url(name)) as connection:
            connection.execute(dump.encode())
        return Settings(database_url=server.url(name))

    return restore


def hear(harness: ServiceHarness, *heard: Event) -> list[Event]:
    """New events, with ids that the old version did not use."""
    return harness.hear(*(harness.enveloped(event, id=f"new-{event.TYPE}-{event.key}") for event in heard))


def stock_goes_on(harness: ServiceHarness) -> None:
    product = {"initial": 1000, "disponible": 997, "retenu": 2, "vendu": 1}
    assert harness.inspect()["produits"]["PROD-456"] == product
    assert hear(harness, initiee("EARLY")) == []
    hear(harness, creee("WAITS"), annulee("SOLD"), annulee("UNDONE"))
    assert harness.said == ["stock.libere"]
    assert harness.inspect()["produits"]["PROD-456"] == {
        "initial": 1000,
        "disponible": 998,
        "retenu": 0,
        "vendu": 2,
    }


def paiement_goes_on(harness: ServiceHarness) -> None:
    assert harness.inspect()["comptes"]["CLIENT-123"]["solde"] == 99_990
    assert hear(harness, reserve("EARLY")) == []
    hear(harness, annulee("PAID"), annulee("UNDONE"))
    assert harness.said == ["paiement.rembourse"]
    assert harness.inspect()["comptes"]["CLIENT-123"]["solde"] == 100_000


def commande_goes_on(harness: ServiceHarness) -> None:
    counted = {"total": 3, "en_attente": 1, "creees": 1, "annulees": 1, "inconnues": 1}
    assert harness.inspect()["commandes"] == counted
    hear(harness, payee("WAITS"), payee("UNDONE"))
    # What was paid for EARLY before it came is not known any more, so it waits for its deadline.
    hear(harness, initiee("EARLY"))
    assert harness.said == ["commande.creee"]
    harness.tick(10_000)
    assert [(e.type, e.key) for e in harness.envelopes[1:]] == [("commande.annulee", "EARLY")]


def notification_goes_on(harness: ServiceHarness) -> None:
    assert harness.inspect()["messages"] == {"confirmation": 2, "annulation": 1, "rectificatif": 1}
    assert hear(harness, creee("EARLY")) == []
    hear(harness, annulee("SOLD"))
    assert [dict(envelope.data)["modele"] for envelope in harness.envelopes] == ["rectificatif"]


GOES_ON: dict[str, tuple[Callable[[ServiceHarness], None], str]] = {
    "stock": (stock_goes_on, "EARLY"),
    "paiement": (paiement_goes_on, "EARLY"),
    "commande": (commande_goes_on, "UNDONE"),
    "notification": (notification_goes_on, "EARLY"),
}


@pytest.mark.parametrize("service", GOES_ON)
def test_a_service_goes_on_with_its_old_database(recorded: Callable[[str], Settings], service: str) -> None:
    settings = recorded(service)
    goes_on, last = GOES_ON[service]
    with open_harness(APP.by_name[service], settings, OUTSIDE.get(service)) as harness:
        with harness.database.begin() as connection:
            found = connection.execute(text("SELECT version, runtime_version FROM service")).one()
        assert tuple(found) == (1 + len(APP.by_name[service].migrations), 1 + len(MIGRATIONS))
        assert [outbox_event.key for outbox_event in harness.store.pending(10)[0]] == [last]
        assert harness.store.purge() == 0
        goes_on(harness)
