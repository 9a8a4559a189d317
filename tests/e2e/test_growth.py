"""Cancellation requests for orders that never come leave no rows behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.support.workers import services, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture

TABLES = ("commandes", "journal", "inbox")
# Each of these times is below half a second.
BRIEFLY = {"retry_delays": "0.1", "deadline": 0.2, "inbox_days": 0.000005, "outbox_days": 0.000005}


def rows(saga: SagaFixture) -> dict[str, int]:
    with closing(sqlite3.connect(saga.folder / "commande.sqlite3")) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def await_rows(saga: SagaFixture, count: int) -> None:
    until(lambda: rows(saga) == dict.fromkeys(TABLES, count), f"{count} rows")


def test_a_worker_purges_cancellation_requests_whose_orders_never_came(stopped_saga: SagaFixture) -> None:
    first = stopped_saga.start("commande")
    first.await_ready()
    for number in range(1200):
        stopped_saga.cancel(f"NEVER-{number}")
    await_rows(stopped_saga, 1200)
    assert first.end() == 0
    with closing(sqlite3.connect(stopped_saga.folder / "commande.sqlite3")) as connection, connection:
        # The rows get the age that they would have had under these settings.
        connection.execute("UPDATE commandes SET echeance_demande = 0")
    stopped_saga.start("commande", **BRIEFLY).await_ready()
    await_rows(stopped_saga, 0)
    done = services("inspect", "commande", "--json", **stopped_saga.settings)
    assert '"inconnues": 0' in done.stdout
