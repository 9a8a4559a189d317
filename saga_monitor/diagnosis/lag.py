"""How far the monitor is behind the stream, in entries and seconds."""

import datetime as dt
from dataclasses import dataclass

from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import moment
from saga_monitor.records.broker_status import BrokerStatus

# The reader notes about twice a second that there is nothing more; under load it never does.
JUST_NOW = dt.timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Lag:
    """None: not known. The broker's own count of a stream lags a little, so `entries` is near, not exact."""

    entries: int | None
    seconds: float | None


UNKNOWN = Lag(None, None)


def behind(queries: Queries, answers: BrokerStatus | None, now: dt.datetime) -> Lag:
    """How far the file that `queries` read is behind the stream that `answers` tell of."""
    (read, caught_up_at), *_ = queries.ask("SELECT last_offset, caught_up_at FROM position")
    last, first = (answers.last_offset, answers.first_offset or 0) if answers else (None, 0)
    # What the stream dropped is not to be read any more.
    entries = None if last is None else max(0, last - max(first - 1, -1 if read is None else int(read)))
    caught_up = moment(caught_up_at)
    if entries == 0 or (caught_up is not None and now - caught_up < JUST_NOW):
        return Lag(entries, 0.0)
    newest = queries.ask("SELECT heard FROM orders ORDER BY last_offset DESC LIMIT 1")
    heard = moment(newest[0][0]) if newest else None
    return Lag(entries, max(0.0, (now - heard).total_seconds()) if heard else None)
