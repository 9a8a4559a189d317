"""A confirmed event that cannot be marked as published is published again, and no worker ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.pipeline import commit
from choregraphie.pipeline.executor import execute
from choregraphie.service.verdict import Done
from choregraphie.storage.invocation import Invocation
from choregraphie.testing import open_harness
from tests.support.event_builders import initiee
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable

# Foreign prepared statements, a wrong value, a constraint, a function of the operator.
SQLSTATES = ["26000", "42P05", "22012", "23514", "P0001"]


def forbid(settings: Settings, sqlstate: str = "") -> None:
    """Make the database raise when an event is marked."""
    if settings.database_url.startswith("sqlite"):
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), timeout=30)) as file:
            file.execute(
                "CREATE TRIGGER no_mark BEFORE UPDATE OF said_at ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        return
    with psycopg.connect(settings.database_url) as server:
        server.execute(
            "CREATE FUNCTION no_mark() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$".encode()
        )
        server.execute(
            "CREATE TRIGGER no_mark BEFORE UPDATE OF said_at ON outbox FOR EACH ROW EXECUTE FUNCTION no_mark()"
        )


@pytest.mark.parametrize("sqlstate", SQLSTATES)
async def test_a_worker_continues_without_the_marks(
    sqlstate: str, database_for: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "MARK_SECONDS", 0.05)
    settings = Settings(database_url=database_for(SAMPLE_SERVICE.name))
    with capture_logs() as logs:
        async with running_pipeline(settings) as at_work:
            await until(lambda: ("consume", ()) in at_work.session.actions)
            forbid(settings, sqlstate)
            first = [at_work.session.deliver(order(f"C-{number}")) for number in range(3)]
            await until(lambda: sorted(at_work.session.acked) == first)
            await until(lambda: any(line["event"] == "outbox.marking_failed" for line in logs))
            second = [at_work.session.deliver(order(f"D-{number}")) for number in range(3)]
            await until(lambda: sorted(at_work.session.acked) == first + second)
            assert not at_work.running.done()
            await at_work.stop()
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        assert len(harness.store.pending(10)[0]) == 6
        assert all(isinstance(verdict, Done) for verdict in harness.verdicts)
        assert harness.inspect()["A"] == 6


def test_an_error_in_marking_does_not_affect_the_deliveries(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for(SAMPLE_SERVICE.name))
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        harness.hear(initiee("C-1", produit_id="A", quantite=1))
        forbid(settings, "P0001")
        heard = [harness.delivery(initiee(f"C-{number}", produit_id="A", quantite=1)) for number in (2, 3)]
        invocations = [
            invocation for invocation in map(harness.decoder.decode, heard) if isinstance(invocation, Invocation)
        ]
        ids = [envelope.id for envelope in harness.envelopes]
        results = execute(harness.store, invocations, (1,), ids)
        assert [type(result.verdict) for result in results] == [Done, Done]
