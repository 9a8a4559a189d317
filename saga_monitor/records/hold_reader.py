"""Reads the notice of a worker that holds its inbox, because an outside system is down. Never raises."""

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.topology import (
    DETAIL_HEADER,
    HOLD_HEADER,
    NEXT_HEADER,
    OUTSIDE_HEADER,
    SINCE_HEADER,
    UNTIL_HEADER,
)
from saga_monitor.analysis.messages import Hold
from saga_monitor.records.lenient_parsing import text
from saga_monitor.records.timestamps import EntryClock, time_of, utc


def read_hold(entry: HistoryEntry, service: str, clock: EntryClock) -> Hold:
    """The hold that `service` tells of in `entry`."""
    said = utc(entry.timestamp)
    at = clock.of(said)
    since, until, again = (time_of(entry.headers.get(name)) for name in (SINCE_HEADER, UNTIL_HEADER, NEXT_HEADER))
    # A clock that is ahead must not make a hold that has lapsed last.
    ahead = at - said if said and at < said else None
    return Hold(
        service,
        text(entry.headers.get(OUTSIDE_HEADER)),
        entry.headers.get(HOLD_HEADER) == "open",
        since=min(since or at, at),
        until=until,
        next=again + ahead if again and ahead else again,
        detail=text(entry.headers.get(DETAIL_HEADER)),
        offset=entry.offset,
        at=at,
    )
