"""Databases of older versions are upgraded at start and keep their rows."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from choregraphie import DatabaseUnavailable, Settings
from choregraphie.saga.envelope import Envelope, wrap
from choregraphie.service.verdict import DeadLetter, Done
from choregraphie.storage.migrations import MIGRATIONS
from choregraphie.testing import ServiceHarness, open_harness
from contracts.commande import CommandeAnnulee, CommandeCreee
from services.commande import SERVICE
from tests.support.event_builders import demande, impayee, initiee, payee, sans_stock

# Per version: the statements that turn today's tables of commande and of the engine back into it.
BACK_TO_3 = (
    "DROP INDEX commandes_echeance_demande",
    "ALTER TABLE commandes DROP COLUMN echeance_demande",
    "UPDATE service SET version = 3",
)
BACK_TO_2 = (*BACK_TO_3, "UPDATE service SET version = 2")
# The tables of the engine before rows were keyed by saga.
OF_ONE_SAGA = {
    "sqlite": (
        "ALTER TABLE inbox RENAME COLUMN key TO commande_id",
        "ALTER TABLE inbox DROP COLUMN saga",
        "CREATE INDEX ix_inbox_commande_id ON inbox (commande_id)",
        "ALTER TABLE outbox RENAME COLUMN key TO commande_id",
        "ALTER TABLE outbox DROP COLUMN saga",
        "CREATE INDEX ix_outbox_commande_id ON outbox (commande_id)",
        "CREATE TABLE before (commande_id TEXT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL,"
        " data TEXT NOT NULL, cause TEXT, at BIGINT NOT NULL, undone_at BIGINT, undone_by TEXT, cause_source TEXT,"
        " PRIMARY KEY (commande_id, action))",
        "INSERT INTO before SELECT key, action, state, data, cause, at, undone_at, undone_by, cause_source"
        " FROM journal",
        "DROP TABLE journal",
        "ALTER TABLE before RENAME TO journal",
    ),
    "postgresql": (
        *(
            statement
            for table in ("inbox", "outbox", "journal")
            for statement in (
                *((f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey",) if table == "journal" else ()),
                f"ALTER TABLE {table} RENAME COLUMN key TO commande_id",
                f"ALTER TABLE {table} DROP COLUMN saga",
            )
        ),
        "CREATE INDEX ix_inbox_commande_id ON inbox (commande_id)",
        "CREATE INDEX ix_outbox_commande_id ON outbox (commande_id)",
        "ALTER TABLE journal ADD PRIMARY KEY (commande_id, action)",
    ),
}
WITHOUT_SOURCES = {
    "sqlite": (
        "CREATE TABLE before (event_id TEXT NOT NULL PRIMARY KEY, body_hash BLOB NOT NULL, type TEXT NOT NULL,"
        " commande_id TEXT NOT NULL, dealt_with_at BIGINT NOT NULL)",
        "INSERT INTO before SELECT event_id, body_hash, type, commande_id, dealt_with_at FROM inbox",
        "DROP TABLE inbox",
        "ALTER TABLE before RENAME TO inbox",
        "CREATE INDEX ix_inbox_commande_id ON inbox (commande_id)",
        "CREATE INDEX ix_inbox_dealt_with_at ON inbox (dealt_with_at)",
    ),
    "postgresql": (
        "ALTER TABLE inbox DROP CONSTRAINT inbox_pkey",
        "ALTER TABLE inbox DROP COLUMN source",
        "ALTER TABLE inbox ADD PRIMARY KEY (event_id)",
    ),
}
WITHOUT_TRACESTATE = "ALTER TABLE outbox DROP COLUMN tracestate"
BACK_TO_RUNTIME_2 = (
    "ALTER TABLE journal DROP COLUMN cause_source",
    "ALTER TABLE trials DROP COLUMN source",
    "UPDATE service SET runtime_version = 2",
)
BACK_TO_1 = (
    *BACK_TO_2,
    "DROP TABLE trials",
    "ALTER TABLE commandes DROP COLUMN paye",
    "ALTER TABLE commandes ADD COLUMN payee BOOLEAN NOT NULL DEFAULT false",
    "UPDATE service SET version = 1, runtime_version = 1",
)


def as_version_1(harness: ServiceHarness, *statements: str) -> None:
    as_runtime_2(harness)
    run(harness, *BACK_TO_1, *statements)


def as_runtime_3(harness: ServiceHarness) -> None:
    kind = harness.database.engine.dialect.name
    run(harness, WITHOUT_TRACESTATE, *OF_ONE_SAGA[kind], "UPDATE service SET runtime_version = 3")


def as_runtime_2(harness: ServiceHarness) -> None:
    as_runtime_3(harness)
    run(harness, *WITHOUT_SOURCES[harness.database.engine.dialect.name], *BACK_TO_RUNTIME_2)


def run(harness: ServiceHarness, *statements: str) -> None:
    with harness.database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def versions(connection: Connection) -> tuple[int, int]:
    found = connection.execute(text("SELECT version, runtime_version FROM service")).one()
    return found.version, found.runtime_version


def test_a_database_of_the_first_version_is_upgraded_and_goes_on(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(initiee("WAITS"), initiee("PAID"), payee("PAID"))
        harness.hear(payee("EARLY"))
        as_version_1(harness, "UPDATE commandes SET payee = true WHERE commande_id IN ('PAID', 'EARLY')")
    with open_harness(SERVICE, settings) as harness:
        with harness.database.begin() as connection:
            assert versions(connection) == (1 + len(SERVICE.migrations), 1 + len(MIGRATIONS))
            columns = {column["name"] for column in inspect(connection).get_columns("commandes")}
            paid = connection.execute(text("SELECT paye FROM commandes WHERE commande_id = 'PAID'")).scalar()
        assert ("paye" in columns, "payee" in columns, paid) == (True, False, 9999)
        assert harness.hear(harness.enveloped(payee("WAITS"), id="later-1")) == [
            CommandeCreee(commande_id="WAITS")
        ]
        # What was paid for it before it came is not known any more, so it waits for its deadline.
        assert harness.hear(harness.enveloped(initiee("EARLY"), id="later-2")) == []
        (said,) = harness.tick(10_000)
        assert isinstance(said, CommandeAnnulee)
        assert said.commande_id == "EARLY"


def test_orders_of_the_second_version_that_never_came_get_a_deadline(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(harness.enveloped(payee("PAID"), id="the-first-word"), demande("ASKED"))
        harness.now += dt.timedelta(seconds=1)
        harness.hear(impayee("PAID"), sans_stock("REFUSED"))
        run(harness, *BACK_TO_2, "UPDATE commandes SET echeance = NULL, cause = NULL")
    with open_harness(SERVICE, settings) as harness:
        assert harness.tick(899) == []
        assert harness.tick(1) == [CommandeAnnulee(commande_id="PAID", raison="solde insuffisant")]
        assert harness.envelopes[0].causationid == "the-first-word"
        assert harness.tick(1) == [CommandeAnnulee(commande_id="REFUSED", raison="stock insuffisant")]
        assert harness.tick(10_000) == []


def test_cancellation_requests_of_the_third_version_are_purged(
    database_for: Callable[[str], str],
) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(demande("ASKED"), demande("SPOKEN"), sans_stock("SPOKEN"))
        run(harness, *BACK_TO_3)
    with open_harness(SERVICE, settings) as harness:
        harness.now += dt.timedelta(days=30, seconds=901)
        while harness.store.purge():
            pass
        with harness.database.begin() as connection:
            left = connection.scalars(text("SELECT commande_id FROM commandes")).all()
            entries = connection.scalars(text("SELECT DISTINCT key FROM journal")).all()
        assert (left, entries) == (["SPOKEN"], ["SPOKEN"])


def test_an_event_of_before_is_published_without_a_tracestate(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(initiee("A"), demande("A"))
        run(harness, WITHOUT_TRACESTATE, "UPDATE service SET runtime_version = 6")
    with open_harness(SERVICE, settings) as harness:
        ((event,), _) = harness.store.pending(10)
        assert (event.key, event.tracestate, event.outgoing(harness.service).headers) == ("A", None, {})


def test_an_upgraded_database_has_the_table_of_trials(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        as_version_1(harness)
    with open_harness(SERVICE, settings) as harness:
        assert harness.store.purge() == 0


def ordered(harness: ServiceHarness, source: str, commande_id: str, **more: Any) -> Envelope[Any]:
    """An order with the event id "1", which every client may use first."""
    return wrap(initiee(commande_id, **more), id="1", source=source, time=harness.now)


def test_an_event_handled_before_sources_were_kept_is_recognised(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        before = harness.delivery(ordered(harness, "/clients/alpha", "A"))
        harness.deliver(before, harness.delivery(harness.enveloped(payee("A"), id="paid")))
        as_runtime_2(harness)
    with open_harness(SERVICE, settings) as harness:
        with harness.database.begin() as connection:
            assert versions(connection) == (1 + len(SERVICE.migrations), 1 + len(MIGRATIONS))
            # The inbox alone has to recognise it.
            connection.execute(text("DELETE FROM journal"))
            connection.execute(text("DELETE FROM commandes"))
        assert harness.deliver(before) == []
        assert harness.verdicts == [Done()]
        assert harness.inspect()["commandes"]["total"] == 0


def test_an_event_id_used_before_sources_were_kept_does_not_block_other_clients(
    database_for: Callable[[str], str],
) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(ordered(harness, "/clients/alpha", "A"))
        as_runtime_2(harness)
    with open_harness(SERVICE, settings) as harness:
        harness.hear(ordered(harness, "/clients/beta", "B"))
        assert harness.verdicts == [Done()]
        assert harness.inspect()["commandes"]["total"] == 2
        # The row now has its source.
        harness.hear(ordered(harness, "/clients/beta", "B", montant="1"))
        assert isinstance(harness.verdicts[-1], DeadLetter)


def test_a_database_of_one_saga_is_keyed_by_saga(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        harness.hear(harness.enveloped(initiee("A"), id="1"), harness.enveloped(demande("A"), id="2"))
        as_runtime_3(harness)
    with open_harness(SERVICE, settings) as harness:
        with harness.database.begin() as connection:
            assert versions(connection) == (1 + len(SERVICE.migrations), 1 + len(MIGRATIONS))
            for table in ("inbox", "outbox", "journal"):
                rows = connection.execute(text(f"SELECT DISTINCT saga, key FROM {table}")).all()
                assert [tuple(row) for row in rows] == [("commande", "A")], table
                assert f"ix_{table}_commande_id" not in {i["name"] for i in inspect(connection).get_indexes(table)}
        # What was handled before stays handled, and what was done for the order stays done.
        assert harness.hear(harness.enveloped(demande("A"), id="2")) == []
        assert harness.hear(harness.enveloped(demande("A"), id="3")) == []
        assert harness.verdicts == [Done(), Done()]


def test_a_worker_of_the_version_before_waits_and_sets_nothing_aside(database_for: Callable[[str], str]) -> None:
    """Its statements name columns that are gone: its database is unavailable, and no delivery is to blame."""
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        as_runtime_3(harness)
    with open_harness(SERVICE, settings) as harness:
        with pytest.raises(DatabaseUnavailable), harness.database.begin() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(
                "INSERT INTO journal (commande_id, action, state, data, at) VALUES ('B', 'noter', 'done', '{}', 1)"
            )
        assert harness.hear(ordered(harness, "/clients/beta", "B")) == []


def indexes(harness: ServiceHarness) -> dict[str, set[str]]:
    with harness.database.begin() as connection:
        inspector = inspect(connection)
        return {
            table: {str(index["name"]) for index in inspector.get_indexes(table)}
            for table in inspector.get_table_names()
        }


def test_an_upgraded_database_has_the_indexes_of_a_new_one(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_harness(SERVICE, settings) as harness:
        new = indexes(harness)
        assert not {"ix_inbox_key", "ix_outbox_key"} & (new["inbox"] | new["outbox"])
        as_version_1(harness)
    with open_harness(SERVICE, settings) as harness:
        assert indexes(harness) == new
