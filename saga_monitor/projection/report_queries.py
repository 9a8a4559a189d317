"""Queries for the reports on many orders."""

import datetime as dt
import json
from collections.abc import Sequence

from saga_monitor.projection.indexes import PLACED
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant

_PLACED_SINCE = (
    f"SELECT number FROM orders WHERE number > ? AND coalesce(started, heard) >= ? AND {PLACED}"  # noqa: S608 - a constant
    " ORDER BY number LIMIT ?"
)


def numbers_placed(queries: Queries, after: int, since: dt.datetime | None, limit: int) -> list[int]:
    """The numbers, beyond `after`, of at most `limit` orders that began since `since`, in order."""
    return [number for (number,) in queries.ask(_PLACED_SINCE, after, instant(since) or 0, limit)]


def dead_letter_reasons(queries: Queries, ids: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """The dead letters of these orders, the newest first: key, service, reason, detail."""
    rows = queries.ask(
        "SELECT commande_id, service, reason, detail FROM dead_letters"
        ' WHERE commande_id IN (SELECT value FROM json_each(?)) ORDER BY "offset" DESC',
        json.dumps(ids),
    )
    return [(id_, service, reason, detail) for id_, service, reason, detail in rows]


def event_reasons(queries: Queries, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """The events of these orders that give a reason, the newest first: key, type, reason."""
    rows = queries.ask(
        "SELECT commande_id, type, raison FROM events WHERE raison IS NOT NULL"
        ' AND commande_id IN (SELECT value FROM json_each(?)) ORDER BY "offset" DESC',
        json.dumps(ids),
    )
    return [(id_, type_, raison) for id_, type_, raison in rows]
