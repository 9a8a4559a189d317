"""What a table refuses to forget stays, is said once an hour, and keeps nothing else from being forgotten."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.storage.inbox import INBOX
from choregraphie.storage.journal import JOURNAL
from choregraphie.testing import ServiceHarness, open_harness
from services.commande import SERVICE
from services.commande.store import Commande
from tests.support.event_builders import demande

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

LATER = dt.timedelta(days=30, seconds=901)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def harness(database_for: Callable[[str], str]) -> Iterator[ServiceHarness]:
    with open_harness(SERVICE, Settings(database_url=database_for("commande"), deadline=900)) as opened:
        yield opened


def do(harness: ServiceHarness, *statements: str) -> None:
    with harness.database.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def keys(harness: ServiceHarness, column: Any = Commande.TABLE.c.commande_id) -> list[str]:
    with harness.database.begin() as connection:
        return sorted(connection.scalars(select(column)))


def purge(harness: ServiceHarness) -> list[MutableMapping[str, Any]]:
    """Purge until nothing is left to purge, as a worker does. Returns what was logged."""
    with capture_logs() as logged:
        while harness.store.purge():
            pass
    return [line for line in logged if line["event"] == "retention.refused"]


@pytest.mark.parametrize("when", ["", "DEFERRABLE INITIALLY DEFERRED"], ids=["at once", "at the commit"])
def test_rows_that_others_refer_to_keep_no_others(harness: ServiceHarness, when: str) -> None:
    harness.hear(*(demande(f"NEVER-{number:03}") for number in range(600)))
    do(
        harness,
        f"CREATE TABLE notes (commande_id TEXT REFERENCES commandes (commande_id) {when})",
        "INSERT INTO notes VALUES ('NEVER-003'), ('NEVER-555')",
    )
    harness.now += LATER
    (first, *others) = purge(harness)
    assert keys(harness) == keys(harness, JOURNAL.c.key) == ["NEVER-003", "NEVER-555"]
    with harness.database.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(INBOX)) == 0
    assert (first["log_level"], first["table"], first["again_in_s"]) == ("error", "commandes", 3600)
    refused = {line["first"] for line in (first, *others)}
    assert refused == {"NEVER-003", "NEVER-555"}
    assert "notes" in first["error"] or "FOREIGN KEY" in first["error"]

    harness.now += HOUR / 2
    assert purge(harness) == []
    harness.now += HOUR
    assert purge(harness)
    do(harness, "DELETE FROM notes WHERE commande_id = 'NEVER-003'")
    harness.now += 2 * HOUR
    purge(harness)
    assert keys(harness) == ["NEVER-555"]


def test_what_a_trigger_refuses_stays(harness: ServiceHarness) -> None:
    harness.hear(demande("A"), demande("B"))
    if harness.database.engine.dialect.name == "sqlite":
        do(
            harness,
            "CREATE TRIGGER garde BEFORE DELETE ON commandes WHEN old.commande_id = 'A' "
            "BEGIN SELECT RAISE(ABORT, 'kept by hand'); END",
        )
    else:
        do(
            harness,
            "CREATE FUNCTION garde() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF old.commande_id = 'A' THEN RAISE 'kept by hand'; END IF; RETURN old; END $$",
            "CREATE TRIGGER garde BEFORE DELETE ON commandes FOR EACH ROW EXECUTE FUNCTION garde()",
        )
    harness.now += LATER
    (logged,) = purge(harness)
    assert "kept by hand" in logged["error"]
    assert keys(harness) == ["A"]
