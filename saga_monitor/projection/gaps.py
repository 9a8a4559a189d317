"""Events that the stream lost before the monitor read them: how many, of what time, and what to do."""

import datetime as dt
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from choregraphie.saga.topology import HISTORY
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import instant, moment

_KEEP_MORE = "raise SAGA_HISTORY_MAX_BYTES and SAGA_HISTORY_MAX_AGE (if the stream exists already, with a policy)"
_LOOK = "the services' own databases know what happened: `{command} journal --open`"


class Loss(StrEnum):
    """Why entries are unknown."""

    TRIMMED = "trimmed"  # the stream dropped entries that had not been read
    REPLACED = "replaced"  # the stream was deleted or restored, and another is in its place
    BEGINNING = "beginning"  # the monitor's file is new, and the stream does not begin with its first entry


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries lost unread. `lost`: their number, or None when unknown. `offset`: the first entry after the gap.

    `after`, `until`: when the last thing known before it, and the first one after it, were said; None: not known.
    """

    noticed_at: dt.datetime
    loss: Loss
    lost: int | None
    offset: int
    after: dt.datetime | None
    until: dt.datetime | None


def keep_gap(connection: sqlite3.Connection, gap: Gap) -> None:
    """Saves `gap`, within the caller's transaction."""
    times = (instant(gap.noticed_at), instant(gap.after), instant(gap.until))
    connection.execute(
        'INSERT INTO gaps (noticed_at, after, until, loss, lost, "offset") VALUES (?, ?, ?, ?, ?, ?)',
        (*times, gap.loss, gap.lost, gap.offset),
    )


def acknowledge_gaps(connection: sqlite3.Connection) -> int:
    """Acknowledges all gaps, within the caller's transaction. Returns how many were not acknowledged before."""
    return connection.execute("UPDATE gaps SET acknowledged = 1 WHERE acknowledged = 0").rowcount


def open_gaps(queries: Queries, since: dt.datetime) -> list[Gap]:
    """The gaps noticed since `since` and not acknowledged, the oldest first."""
    rows = queries.ask(
        'SELECT noticed_at, loss, lost, "offset", after, until FROM gaps'
        " WHERE acknowledged = 0 AND noticed_at >= ? ORDER BY number",
        instant(since),
    )
    return [
        Gap(moment(noticed) or since, Loss(loss), lost, offset, moment(after), moment(until))
        for noticed, loss, lost, offset, after, until in rows
    ]


def describe_gap(gap: Gap) -> str:
    """Describes a gap in one sentence, without a remedy."""
    if gap.loss is Loss.BEGINNING:
        return (
            f"the stream {HISTORY} begins at entry {gap.offset}{_at(gap.until)}, where this monitor's file begins"
            " too: what was said before is not known"
        )
    if gap.loss is Loss.REPLACED:
        return (
            f"the stream {HISTORY} was deleted, emptied or restored{_span(gap)}: events of the old stream"
            " that had not been read, and are not said again, are unknown to this monitor"
        )
    what = "1 event was" if gap.lost == 1 else f"{gap.lost} events were"
    return f"{what} lost unread: the stream {HISTORY} was trimmed past what this monitor had read{_span(gap)}"


def remedy(gap: Gap, command: str) -> str:
    """What to do about a gap; `command` starts the application's command line."""
    keep = f"{_KEEP_MORE}, " if gap.loss is Loss.TRIMMED else ""
    return f"{keep}{_LOOK.format(command=command)}; then `python -m saga_monitor anomalies --acknowledge`"


def describe_short_stream(begins: dt.datetime, needed: dt.datetime, why: str) -> str:
    return (
        f"the stream {HISTORY} was trimmed and begins at {_clock(begins)}, but {why} since {_clock(needed)} is"
        f" needed: a new monitor would not know everything; {_KEEP_MORE}"
    )


def _span(gap: Gap) -> str:
    if gap.after and gap.until:
        return f", between {_clock(gap.after)} and {_clock(gap.until)}"
    if gap.after:
        return f", after {_clock(gap.after)}"
    return f", before {_clock(gap.until)}" if gap.until else ""


def _at(time: dt.datetime | None) -> str:
    return f" of {_clock(time)}" if time else ""


def _clock(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
