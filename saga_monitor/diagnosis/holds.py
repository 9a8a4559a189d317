"""The inboxes that are held because an outside system is down, as anomalies: each hold, and one instance in it."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from saga_monitor.analysis.anomaly import Anomaly, Kind
from saga_monitor.analysis.messages import Hold
from saga_monitor.diagnosis.causes import Cause, Reason, hold_sentence
from saga_monitor.diagnosis.pending import PendingStep
from saga_monitor.projection.case_queries import Case
from saga_monitor.projection.queries import Queries


def hold_anomalies(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    """One for each hold, with how many instances wait."""
    one, several = queries.sagas.noun_of(None)
    for hold in queries.holds(now):
        waiting = queries.count_held([hold])
        text = f"{hold_sentence(hold)}; {waiting} {one if waiting == 1 else several} wait"
        text += "s" if waiting == 1 else ""
        yield Anomaly(Kind.HELD, None, None, hold.service, hold.since, Reason.OUTSIDE_DOWN, text)


def held_instance(case: Case, waits: Mapping[PendingStep, Cause], holds: Sequence[Hold]) -> Iterator[Anomaly]:
    """One for each of `waits` that one of `holds` explains."""
    about, by_service = case.summary.instance, {hold.service: hold for hold in holds}
    for wait, cause in waits.items():
        if cause.reason is Reason.OUTSIDE_DOWN:
            text = f"{about.key} waits for {wait.awaited} of {wait.service}: {cause.sentence}"
            yield Anomaly(Kind.HELD, *about, wait.service, by_service[wait.service].since, cause.reason, text)
