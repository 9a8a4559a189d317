"""Demands to cancel what was never ordered leave nothing behind, however many there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.support.workers import services, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import Shop

TABLES = ("commandes", "journal", "inbox")
# Less than half a second each.
BRIEFLY = {"retry_delays": "0.1", "deadline": 0.2, "inbox_days": 0.000005, "outbox_days": 0.000005}


def rows(shop: Shop) -> dict[str, int]:
    with closing(sqlite3.connect(shop.folder / "commande.sqlite3")) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}


def await_rows(shop: Shop, count: int) -> None:
    until(lambda: rows(shop) == dict.fromkeys(TABLES, count), f"{count} rows")


def test_a_worker_forgets_the_demands_whose_orders_never_came(closed_shop: Shop) -> None:
    first = closed_shop.start("commande")
    first.await_ready()
    for number in range(1200):
        closed_shop.cancel(f"NEVER-{number}")
    await_rows(closed_shop, 1200)
    assert first.end() == 0
    with closing(sqlite3.connect(closed_shop.folder / "commande.sqlite3")) as connection, connection:
        # As old as they would be, had they come when their worker had these settings.
        connection.execute("UPDATE commandes SET echeance_demande = 0")
    closed_shop.start("commande", **BRIEFLY).await_ready()
    await_rows(closed_shop, 0)
    done = services("inspect", "commande", "--json", **closed_shop.settings)
    assert '"inconnues": 0' in done.stdout
