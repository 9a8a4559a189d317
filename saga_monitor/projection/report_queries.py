"""Queries for the reports on many instances."""

import datetime as dt
import json
from collections.abc import Sequence

from choregraphie.saga.envelope import Instance
from saga_monitor.projection.indexes import PLACED
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant

_PLACED_SINCE = (
    f"SELECT number FROM instances WHERE number > ? AND coalesce(started, heard) >= ? AND {PLACED}"  # noqa: S608 - a constant
    " AND saga IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT ?"
)
_NUMBERED = "number IN (SELECT value FROM json_each(?))"


def numbers_placed(
    queries: Queries, after: int, since: dt.datetime | None, limit: int, saga: str | None = None
) -> list[int]:
    """The numbers, beyond `after`, of at most `limit` instances that began since `since`, in order."""
    sagas = json.dumps(queries.names_of(saga))
    return [number for (number,) in queries.ask(_PLACED_SINCE, after, instant(since) or 0, sagas, limit)]


def dead_letter_reasons(queries: Queries, numbers: Sequence[int]) -> list[tuple[Instance, str, str, str]]:
    """The dead letters of these instances, the newest first: instance, service, reason, detail."""
    rows = queries.ask(
        "SELECT saga, key, service, reason, detail FROM dead_letters JOIN instances USING (saga, key)"  # noqa: S608 - a constant
        f' WHERE {_NUMBERED} ORDER BY "offset" DESC',
        json.dumps(numbers),
    )
    return [(Instance(saga, key), *columns) for saga, key, *columns in rows]


def event_reasons(queries: Queries, numbers: Sequence[int]) -> list[tuple[Instance, str, str]]:
    """The events of these instances that give a reason, the newest first: instance, type, reason."""
    rows = queries.ask(
        "SELECT saga, key, type, reason FROM said JOIN instances USING (number)"  # noqa: S608 - a constant
        f' WHERE reason IS NOT NULL AND {_NUMBERED} ORDER BY "offset" DESC',
        json.dumps(numbers),
    )
    return [(Instance(saga, key), *columns) for saga, key, *columns in rows]
