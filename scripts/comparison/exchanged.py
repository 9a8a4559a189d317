"""What is published and delivered for an order, counted in the outboxes and inboxes of the services."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

# What the client publishes itself: the order.
_BY_THE_CLIENT = 1
_QUIET_SECONDS, _LONGEST_SECONDS = 1.0, 30.0
Rows = tuple[tuple[str, str], ...]


def measure(folder: Path, services: Sequence[str], keys: Collection[str]) -> dict[str, float]:
    """Publishes and deliveries an order, the mean of these orders, once nothing is written any more.

    Raises RuntimeError when rows still come after half a minute.
    """
    end, found = time.monotonic() + _LONGEST_SECONDS, rows(folder, services)
    while True:
        time.sleep(_QUIET_SECONDS)
        before, found = found, rows(folder, services)
        if before == found:
            return summary(found, keys)
        if time.monotonic() > end:
            raise RuntimeError("messages are still exchanged for orders that have ended")


def rows(folder: Path, services: Iterable[str]) -> Rows:
    """The table and the key of every message that the services have published or handled."""
    found: list[tuple[str, str]] = []
    for service in services:
        with contextlib.closing(sqlite3.connect(f"file:{folder}/{service}.sqlite3?mode=ro", uri=True)) as database:
            found += database.execute("SELECT 'outbox', key FROM outbox UNION ALL SELECT 'inbox', key FROM inbox")
    return tuple(found)


def summary(found: Iterable[tuple[str, str]], keys: Collection[str]) -> dict[str, float]:
    """The means of the orders `keys`. A publish is one message; each queue that hears it is a delivery."""
    tables = [table for table, key in found if key in keys]
    return {
        "publishes": round(_BY_THE_CLIENT + tables.count("outbox") / len(keys), 2),
        "deliveries": round(tables.count("inbox") / len(keys), 2),
    }
