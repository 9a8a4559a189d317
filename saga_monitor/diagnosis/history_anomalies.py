"""Anomalies of the history itself: entries lost unread, a history that is too short, a blind monitor."""

import datetime as dt
from collections.abc import Iterator

from choregraphie.saga.topology import HISTORY
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Thresholds
from saga_monitor.projection import gaps
from saga_monitor.projection.gaps import open_gaps
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.schema import moment
from saga_monitor.projection.unknown_events import unknown_events_since
from saga_monitor.records.broker_status import BrokerStatus

# A client's slip is in `report`; so many of them are somebody's program.
MANY_UNKNOWN = 10


def history_anomalies(
    queries: Queries, facts: BrokerStatus | None, now: dt.datetime, terms: Thresholds
) -> Iterator[Anomaly]:
    """What was lost unread, what the stream keeps too short, and events in bulk that nobody knows."""
    for gap in open_gaps(queries, now - terms.keep):
        text = f"{gaps.describe_gap(gap)}; {gaps.remedy(gap)}"
        yield Anomaly(Kind.LOST_HISTORY, None, None, gap.noticed_at, gap.loss, text, gap.lost or 1)
    if facts is not None:
        yield from _no_stream(facts)
        yield from _too_short(queries, facts, now, terms)
    for type_, source, count, at in unknown_events_since(queries, now - RECENT, MANY_UNKNOWN):
        text = (
            f"{count} events of the type {type_}, which the choreography does not know, came from {source} within"
        )
        text += (
            " the hour: nobody acts on them, and they take the place of others in the history; see who says them"
        )
        yield Anomaly(Kind.UNKNOWN_EVENTS, None, None, at, "unknown_type", text, count)


def _no_stream(facts: BrokerStatus) -> Iterator[Anomaly]:
    if facts.queues and facts.lacks(HISTORY):
        text = f"the broker has no stream {HISTORY}, so nothing can be heard: restart a worker, which declares it"
        yield Anomaly(Kind.BLIND, None, None, facts.at, "no_history", text)


def _too_short(queries: Queries, facts: BrokerStatus, now: dt.datetime, terms: Thresholds) -> Iterator[Anomaly]:
    """Judged of a stream that was seen to lose its head; one that is young keeps all that it was told."""
    if facts.first_at is None or facts.first_offset is None:
        return
    ((began, shift, oldest),) = queries.ask(
        "SELECT began_at, shift, (SELECT min(started) FROM orders WHERE at_rest = 0) FROM position"
    )
    if began is None or facts.first_offset + shift <= began:
        return
    if now - facts.first_at < terms.longest:
        text = gaps.describe_short_stream(facts.first_at, now - terms.longest, "what was said")
        yield Anomaly(Kind.LOST_HISTORY, None, None, facts.at, "kept_too_short", text)
    elif (started := moment(oldest)) is not None and started < facts.first_at:
        text = gaps.describe_short_stream(
            facts.first_at, started, "what was said of orders that are still under way"
        )
        yield Anomaly(Kind.LOST_HISTORY, None, None, facts.at, "kept_too_short", text)
