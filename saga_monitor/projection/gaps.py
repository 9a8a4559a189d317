"""Records what the stream lost before the monitor read it: how much, and of what time."""

import datetime as dt
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant, moment


class Loss(StrEnum):
    """How something came to be unknown."""

    TRIMMED = "trimmed"  # the stream dropped entries that had not been read
    REPLACED = "replaced"  # the stream was deleted or restored, and another is in its place
    BEGINNING = "beginning"  # the monitor's file is new, and the stream does not begin with its first entry


@dataclass(frozen=True, slots=True)
class Gap:
    """`lost`: entries that nobody read, None when it cannot be told. `offset`: the first entry after the gap.

    `after`, `until`: when the last thing known before it, and the first one after it, were said; None: not known.
    """

    noticed_at: dt.datetime
    loss: Loss
    lost: int | None
    offset: int
    after: dt.datetime | None
    until: dt.datetime | None


def keep_gap(connection: sqlite3.Connection, gap: Gap) -> None:
    """Note `gap`, within the caller's transaction."""
    times = (instant(gap.noticed_at), instant(gap.after), instant(gap.until))
    connection.execute(
        'INSERT INTO gaps (noticed_at, after, until, loss, lost, "offset") VALUES (?, ?, ?, ?, ?, ?)',
        (*times, gap.loss, gap.lost, gap.offset),
    )


def acknowledge_gaps(connection: sqlite3.Connection) -> int:
    """Mark every gap as known to a person, within the caller's transaction; how many were not yet."""
    return connection.execute("UPDATE gaps SET acknowledged = 1 WHERE acknowledged = 0").rowcount


def standing_gaps(queries: Queries, since: dt.datetime) -> list[Gap]:
    """The gaps noticed since then that nobody has acknowledged, the oldest first."""
    rows = queries.ask(
        'SELECT noticed_at, loss, lost, "offset", after, until FROM gaps'
        " WHERE acknowledged = 0 AND noticed_at >= ? ORDER BY number",
        instant(since),
    )
    return [
        Gap(moment(noticed) or since, Loss(loss), lost, offset, moment(after), moment(until))
        for noticed, loss, lost, offset, after, until in rows
    ]
