"""A file that an earlier version kept: what can still be used is, the rest is refused in one line."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from saga_monitor.books.schema import VERSION
from saga_monitor.progress import Flag
from saga_monitor.web.filters import Filters
from saga_monitor.web.reader import Reader
from services.runtime import DatabaseRefused
from tests.monitor.conftest import SOON, Monitor
from tests.monitor.stage import HELD, Stream, said

if TYPE_CHECKING:
    from pathlib import Path

LATER = SOON + dt.timedelta(hours=1)
OF_VERSION_5 = """
CREATE INDEX orders_recent ON orders (last_offset);
CREATE INDEX orders_by_state ON orders (state, last_offset);
CREATE INDEX orders_by_state_and_id ON orders (state, commande_id);
CREATE INDEX orders_in_flight ON orders (last_offset) WHERE at_rest = 0;
CREATE INDEX orders_silent ON orders (quiet_since, state, commande_id) WHERE at_rest = 0;
CREATE INDEX orders_flagged ON orders (last_offset, flags, state) WHERE flags != '[]';
CREATE INDEX orders_urgent ON orders (last_offset) WHERE urgent = 1;
PRAGMA user_version = 5;
"""


def make_older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'orders' AND sql IS NOT NULL"
        ).fetchall():
            connection.execute(f"DROP INDEX {name}")
        connection.executescript(OF_VERSION_5)


async def test_a_file_with_other_indexes_is_used_as_it_is(stream: Stream, tmp_path: Path) -> None:
    """Its orders may have left the stream since, and its open alerts are nowhere else."""
    path = tmp_path / "monitor.sqlite3"
    first = Monitor(path)
    stream.tell("CMD-1", HELD)
    stream.set_aside("paiement", said("CMD-1", HELD[1]))
    await first.hear(stream)
    with first.store.transaction() as connection:
        connection.execute("INSERT INTO alerts VALUES ('key', 'alert', 1, 1, 1)")
    first.close()
    make_older(path)
    with closing(Reader(path, 60.0)) as reader:
        for filters in (Filters(), Filters(flag=Flag.STUCK), Filters(flag=Flag.INTERVENTION, q="CMD")):
            assert [order.commande_id for order in reader.page(filters, LATER).orders] == ["CMD-1"]
        assert reader.ask("SELECT key FROM alerts") == [("key",)]
        assert reader.ask("PRAGMA user_version") == [(VERSION,)]
    again = Monitor(path)
    stream.tell("CMD-2", HELD)
    await again.hear(stream)
    assert again.queries.totals(SOON).orders == 2
    again.close()


def test_a_file_of_another_judgement_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "monitor.sqlite3"
    Monitor(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(DatabaseRefused, match="delete it, the stream rebuilds it"):
        Reader(path, 60.0)
