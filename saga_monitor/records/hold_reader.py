"""Reads the notice of a worker that holds its inbox, because an outside system is down. Never raises."""

from choregraphie.messaging import HistoryEntry
from choregraphie.saga.rfc3339 import utc
from choregraphie.saga.topology import (
    DETAIL_HEADER,
    HOLD_HEADER,
    NEXT_HEADER,
    OUTSIDE_HEADER,
    SINCE_HEADER,
    UNTIL_HEADER,
)
from saga_monitor.analysis.interventions import LONGEST_WAIT
from saga_monitor.analysis.messages import Hold
from saga_monitor.records.lenient_parsing import text
from saga_monitor.records.timestamps import EntryClock, time_of


def read_hold(entry: HistoryEntry, service: str, clock: EntryClock) -> Hold:
    """The hold that `service` tells of in `entry`."""
    said = utc(entry.timestamp)
    at = clock.of(said)
    since, until, again = (time_of(entry.headers.get(name)) for name in (SINCE_HEADER, UNTIL_HEADER, NEXT_HEADER))
    # The service's clock may be ahead, so the wait counts from its notice: a hold that has lapsed does not last.
    told = said if said and at < said else at
    wait = max(-LONGEST_WAIT, min(again - told, LONGEST_WAIT)) if again else None
    return Hold(
        service,
        text(entry.headers.get(OUTSIDE_HEADER)),
        entry.headers.get(HOLD_HEADER) == "open",
        since=min(since or at, at),
        until=until,
        next=at + wait if wait is not None else None,
        detail=text(entry.headers.get(DETAIL_HEADER)),
        offset=entry.offset,
        at=at,
    )
