"""Anomalies of the history itself: lost entries, too short a history, a blind monitor, untrusted events."""

import datetime as dt
from collections.abc import Iterator

from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import HISTORY, exchange_of
from saga_monitor.analysis import clocks
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Thresholds
from saga_monitor.projection import case_queries, gaps, position
from saga_monitor.projection.case_queries import UntrustedEvent
from saga_monitor.projection.gaps import open_gaps
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.unknown_events import unknown_events_since
from saga_monitor.records.broker_status import BrokerStatus

# `report` counts every unknown event. So many within an hour come from a program, not from a mistake.
MANY_UNKNOWN = 10
_WRONG_EXCHANGE = "which is not its speaker's: nobody acts on it"
_UNSIGNED = "without a valid signature of its speaker: nobody acts on it"


def history_anomalies(
    queries: Queries, status: BrokerStatus | None, now: dt.datetime, thresholds: Thresholds
) -> Iterator[Anomaly]:
    """Entries lost before they were read, a stream that keeps too little, and many events of an unknown type."""
    for gap in open_gaps(queries, now - thresholds.keep):
        text = f"{gaps.describe_gap(gap)}; {gaps.remedy(gap, thresholds.command)}"
        yield Anomaly(Kind.LOST_HISTORY, None, None, None, gap.noticed_at, gap.loss, text, gap.lost or 1)
    if status is not None:
        yield from _no_stream(status)
        yield from _too_short(queries, status, now, thresholds)
    for type_, source, count, at in unknown_events_since(queries, now - RECENT, MANY_UNKNOWN):
        text = (
            f"{count} events of the type {type_}, which the choreography does not know, came from {source} within"
        )
        text += (
            " the hour: nobody acts on them, and they take the place of others in the history; see who says them"
        )
        yield Anomaly(Kind.UNKNOWN_EVENTS, None, None, None, at, "unknown_type", text, count)


def _no_stream(status: BrokerStatus) -> Iterator[Anomaly]:
    if status.queues and status.lacks(HISTORY):
        text = f"the broker has no stream {HISTORY}, so nothing can be heard: restart a worker, which declares it"
        yield Anomaly(Kind.BLIND, None, None, None, status.at, "no_history", text)


def _too_short(
    queries: Queries, status: BrokerStatus, now: dt.datetime, thresholds: Thresholds
) -> Iterator[Anomaly]:
    """Whether the stream drops entries too early. A young stream that has dropped nothing yet is not judged."""
    if status.first_at is None or status.first_offset is None:
        return
    began = position.first_read(queries)
    if began is None or status.first_offset <= began:
        return
    if now - status.first_at < thresholds.longest:
        text = gaps.describe_short_stream(status.first_at, now - thresholds.longest, "what was said")
        yield Anomaly(Kind.LOST_HISTORY, None, None, None, status.at, "kept_too_short", text)
    elif (started := position.oldest_in_flight(queries)) is not None and started < status.first_at:
        under_way = f"what was said of {queries.sagas.noun[1]} that are still under way"
        text = gaps.describe_short_stream(status.first_at, started, under_way)
        yield Anomaly(Kind.LOST_HISTORY, None, None, None, status.at, "kept_too_short", text)


def untrusted_events(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    """Events of the last time that nobody believes: by another speaker's exchange, or not signed by their own."""
    for untrusted in case_queries.untrusted_events(queries, now - RECENT):
        by_its_own = _is_by_its_own(queries.sagas, untrusted)
        text = (
            f"{untrusted.key}: {untrusted.type} from {untrusted.source} came by {untrusted.exchange},"
            f" {_UNSIGNED if by_its_own else _WRONG_EXCHANGE}; see who may write to that exchange"
        )
        service = untrusted.exchange.partition(".")[0]
        service = service if service in queries.sagas.speakers else "unknown"
        reason = "signature" if by_its_own else "wrong_source"
        yield Anomaly(Kind.NOT_ALLOWED, untrusted.saga, untrusted.key, service, untrusted.at, reason, text)


def _is_by_its_own(sagas: SagaSet, untrusted: UntrustedEvent) -> bool:
    """Whether it came by the right exchange. Then it is not believed because its speaker has not signed it."""
    saga = sagas.by_name.get(untrusted.saga or "")
    event = saga.event_types.get(untrusted.type) if saga else None
    return event is not None and untrusted.exchange == exchange_of(event)


def clock_skews(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    """Pairs of clocks that differed lately."""
    for skew in case_queries.clock_skews(queries, now - RECENT):
        text = clocks.sentence(skew.key, skew.cause, skew.effect, skew.worst_ms)
        yield Anomaly(Kind.CLOCK_SKEW, None, None, skew.effect, skew.at, f"against_{skew.cause}", text)
