"""Anomalies of the history itself: entries lost unread, a history that is too short, a blind monitor."""

import datetime as dt
from collections.abc import Iterator

from choregraphie.saga.topology import HISTORY
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Thresholds
from saga_monitor.projection import gaps, position
from saga_monitor.projection.gaps import open_gaps
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.unknown_events import unknown_events_since
from saga_monitor.records.broker_status import BrokerStatus

# `report` counts every unknown event. So many within an hour come from a program, not from a mistake.
MANY_UNKNOWN = 10


def history_anomalies(
    queries: Queries, status: BrokerStatus | None, now: dt.datetime, terms: Thresholds
) -> Iterator[Anomaly]:
    """Entries lost before they were read, a stream that keeps too little, and many events of an unknown type."""
    for gap in open_gaps(queries, now - terms.keep):
        text = f"{gaps.describe_gap(gap)}; {gaps.remedy(gap)}"
        yield Anomaly(Kind.LOST_HISTORY, None, None, gap.noticed_at, gap.loss, text, gap.lost or 1)
    if status is not None:
        yield from _no_stream(status)
        yield from _too_short(queries, status, now, terms)
    for type_, source, count, at in unknown_events_since(queries, now - RECENT, MANY_UNKNOWN):
        text = (
            f"{count} events of the type {type_}, which the choreography does not know, came from {source} within"
        )
        text += (
            " the hour: nobody acts on them, and they take the place of others in the history; see who says them"
        )
        yield Anomaly(Kind.UNKNOWN_EVENTS, None, None, at, "unknown_type", text, count)


def _no_stream(status: BrokerStatus) -> Iterator[Anomaly]:
    if status.queues and status.lacks(HISTORY):
        text = f"the broker has no stream {HISTORY}, so nothing can be heard: restart a worker, which declares it"
        yield Anomaly(Kind.BLIND, None, None, status.at, "no_history", text)


def _too_short(queries: Queries, status: BrokerStatus, now: dt.datetime, terms: Thresholds) -> Iterator[Anomaly]:
    """Whether the stream drops entries too early. A young stream that has dropped nothing yet is not judged."""
    if status.first_at is None or status.first_offset is None:
        return
    began = position.first_read(queries)
    if began is None or status.first_offset <= began:
        return
    if now - status.first_at < terms.longest:
        text = gaps.describe_short_stream(status.first_at, now - terms.longest, "what was said")
        yield Anomaly(Kind.LOST_HISTORY, None, None, status.at, "kept_too_short", text)
    elif (started := position.oldest_in_flight(queries)) is not None and started < status.first_at:
        text = gaps.describe_short_stream(
            status.first_at, started, "what was said of orders that are still under way"
        )
        yield Anomaly(Kind.LOST_HISTORY, None, None, status.at, "kept_too_short", text)
