"""Finds anomalies in the projection; each has a sentence that says what happened and what to do.

Only orders in flight and flagged orders are examined, however many orders there are. The state of the broker's
queues comes in as data (`broker_status.py`), so this module needs no connection.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from choregraphie.terminal.formats import format_duration
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.analysis import clocks, contradictions
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Thresholds
from saga_monitor.analysis.saga_state import GIVEN_UP, Flag, State
from saga_monitor.diagnosis.broker_anomalies import queue_anomalies, unknown_dead_letters
from saga_monitor.diagnosis.causes import GRACE, Cause, Evidence, cause_of, remedy
from saga_monitor.diagnosis.history_anomalies import history_anomalies
from saga_monitor.diagnosis.pending import PendingStep, longest_wait, pending_steps
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection import case_queries
from saga_monitor.projection.case_queries import Case, SampledLetter
from saga_monitor.projection.counters import Histogram, bounded
from saga_monitor.projection.models import LastHeard
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.sampling import Cutoffs
from saga_monitor.projection.schema import instant
from saga_monitor.records.broker_status import BrokerStatus

__all__ = ["RECENT", "SHOWN_FOR", "Anomaly", "Kind", "Thresholds", "anomalies_of", "anomalies_of_order", "as_json"]

# How long a permanent fact (a contradiction, a repeated order) is listed. The page of its order always shows it.
SHOWN_FOR = dt.timedelta(days=1)


_KIND_OF = {
    Flag.CONTRADICTION: Kind.CONTRADICTION,
    Flag.NOT_ALLOWED: Kind.NOT_ALLOWED,
    Flag.REPEATED_ORDER: Kind.REPEATED_ORDER,
}


@dataclass(frozen=True, slots=True)
class _Context:
    """What all orders of one judgement share."""

    now: dt.datetime
    terms: Thresholds
    status: BrokerStatus | None
    last_heard: dict[str, LastHeard]
    spreads: Mapping[str, Histogram]

    def expected(self, service: str, undoing: bool) -> dt.timedelta:
        """How long a step may take: see `longest_wait`."""
        return longest_wait(self.spreads, service, undoing, self.terms.stuck_after)

    def marks(self) -> Cutoffs:
        """The moments and offsets that separate orders waiting for the same step; one per group is examined."""
        late = {
            self.now - self.expected(service, undo) for service in CHOREOGRAPHY.services for undo in (False, True)
        }
        last_heard = self.last_heard.values()
        moments = sorted(late | {latest.at - GRACE for latest in last_heard})
        return Cutoffs(moments, sorted(latest.offset for latest in last_heard))


def anomalies_of(
    queries: Queries, status: BrokerStatus | None, now: dt.datetime, terms: Thresholds
) -> list[Anomaly]:
    """All anomalies now: the most severe kind first, within a kind the oldest first."""
    context = _Context(now, terms, status, case_queries.last_heard(queries), case_queries.step_spreads(queries))
    cases = case_queries.cases(queries, terms.stuck_after, now, context.marks())
    found = [anomaly for case in cases for anomaly in _of_order(case, context) if not _expired(anomaly, now)]
    found = _counted(found, case_queries.flagged_beyond(queries, cases, now - SHOWN_FOR))
    if status is not None:
        found += list(queue_anomalies(queries, status, found))
    found += [*_dead_letters(queries, status, now), *_foreign_events(queries, now), *_clock_skews(queries, now)]
    found += history_anomalies(queries, status, now, terms)
    return sorted(found, key=_severity)


def anomalies_of_order(
    queries: Queries, commande_id: str, status: BrokerStatus | None, now: dt.datetime, terms: Thresholds
) -> list[Anomaly]:
    """The anomalies of one order, however old."""
    context = _Context(now, terms, status, case_queries.last_heard(queries), case_queries.step_spreads(queries))
    case = case_queries.case(queries, commande_id, now)
    return sorted(_of_order(case, context), key=_severity) if case else []


def as_json(anomaly: Anomaly) -> dict[str, Any]:
    since = anomaly.since
    said = since.isoformat(timespec="milliseconds").replace("+00:00", "Z") if since else None
    return asdict(anomaly) | {"since": said}


def _severity(anomaly: Anomaly) -> tuple[int, int, str]:
    return list(Kind).index(anomaly.kind), instant(anomaly.since) or 0, anomaly.commande_id or ""


def _expired(anomaly: Anomaly, now: dt.datetime) -> bool:
    return anomaly.kind in _KIND_OF.values() and anomaly.since is not None and now - anomaly.since > SHOWN_FOR


def _counted(anomalies: Sequence[Anomaly], beyond: Mapping[Flag, int]) -> list[Anomaly]:
    """Adds the flagged orders that were not examined to the count of the oldest of each kind, being older."""
    counted = list(anomalies)
    for flag, kind in _KIND_OF.items():
        mine = [number for number, anomaly in enumerate(counted) if anomaly.kind == kind]
        if mine and beyond[flag]:
            oldest = min(mine, key=lambda number: _severity(counted[number]))
            counted[oldest] = replace(counted[oldest], count=1 + beyond[flag])
    return counted


def _of_order(case: Case, context: _Context) -> Iterator[Anomaly]:
    yield from _waiting(case, context)
    id_, heard = case.order.commande_id, case.order.heard
    for fault in contradictions.contradictions(case.heard):
        text = f"{id_}: {fault.what}; compare the journal of {fault.service} with what really happened"
        yield Anomaly(Kind.CONTRADICTION, id_, fault.service, fault.event.time or heard, fault.reason, text)
    for fault in contradictions.not_allowed(case.heard):
        text = f"{id_}: {fault.what}; see which program speaks for {fault.service}"
        yield Anomaly(Kind.NOT_ALLOWED, id_, fault.service, fault.event.time or heard, fault.reason, text)
    starts = [event for event in case.heard.events if event.type == CHOREOGRAPHY.starts.TYPE]
    if len(starts) > 1:
        text = f"{id_}: {len(starts)} different orders have this id, and only the first is carried out:"
        text += f" the client should place the other{'s' if len(starts) > 2 else ''} again with a new id"
        yield Anomaly(Kind.REPEATED_ORDER, id_, None, starts[-1].time or heard, "same_id", text)


def _waiting(case: Case, context: _Context) -> Iterator[Anomaly]:
    order = case.order
    # An empty queue holds no dead letter of this order: somebody sent it back or removed it.
    status = context.status
    letters = [one for one in case.dead_letters if status is None or status.dead_letters(one.service) != 0]
    evidence = Evidence(
        *(order.commande_id, order.heard, order.last_offset, context.now, context.terms.tries, context.status),
        *(case.retries, letters, context.last_heard, order.state is State.COMPENSATED),
    )
    late = {}
    for wait in pending_steps(order.state, order.at_rest, order.remaining, case.heard):
        given_up = any(one.service == wait.service and one.reason in GIVEN_UP for one in letters)
        if given_up or context.now - order.heard > context.expected(wait.service, wait.undoing):
            late[wait] = cause_of(wait, evidence)
    undoings = {wait: reason for wait, reason in late.items() if wait.undoing}
    if undoings and order.state is State.COMPENSATING:
        yield from _half_undone(case, undoings)
    elif late:
        wait, reason = next(iter(late.items()))
        silent = format_duration((context.now - order.heard).total_seconds() * 1000)
        text = f"{order.commande_id} waits for {wait.awaited} of {wait.service}, silent for {silent}: "
        text += reason.sentence
        yield Anomaly(
            Kind.STUCK, order.commande_id, wait.service, order.heard, reason.reason, text, 1 + case.similar
        )


def _half_undone(case: Case, undoings: Mapping[PendingStep, Cause]) -> Iterator[Anomaly]:
    id_ = case.order.commande_id
    for wait, reason in undoings.items():
        since = wait.trigger.time if wait.trigger else None
        text = f"{id_} is cancelled, and {wait.service} has not said {wait.awaited}: {reason.sentence}"
        yield Anomaly(
            Kind.HALF_UNDONE, id_, wait.service, since or case.order.heard, reason.reason, text, 1 + case.similar
        )


def _dead_letters(queries: Queries, status: BrokerStatus | None, now: dt.datetime) -> Iterator[Anomaly]:
    for service in CHOREOGRAPHY.services:
        # The newest are the ones still in the queue. When the broker cannot be asked, take those of the last hour.
        held = status.dead_letters(service) if status else None
        if status is None or held is None:
            letters = case_queries.newest_dead_letters(queries, service, None, now - RECENT)
        else:
            letters = case_queries.newest_dead_letters(queries, service, held)
            yield from unknown_dead_letters(service, status, sum(1 + letter.similar for letter in letters))
        yield from map(_dead_letter, letters)


def _dead_letter(sampled: SampledLetter) -> Anomaly:
    letter = sampled.letter
    what = f"{letter.type or 'a message'} is in {letter.service}.dlq"
    of = f"{letter.commande_id}: " if letter.commande_id else ""
    text = f"{of}{what}: {because(letter.reason, letter.detail)}; {remedy(letter, undone=sampled.undone)}"
    return Anomaly(
        *(Kind.DEAD_LETTER, letter.commande_id, letter.service, letter.at, bounded(letter.reason), text),
        count=1 + sampled.similar,
        letter=letter.offset,
    )


def _foreign_events(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    for foreign in case_queries.foreign_events(queries, now - RECENT):
        text = (
            f"{foreign.commande_id}: {foreign.type} from {foreign.source} came by {foreign.exchange}, which"
            " is not its speaker's: nobody acts on it; see who may write to that exchange"
        )
        service = foreign.exchange.partition(".")[0]
        service = service if service in CHOREOGRAPHY.speakers else "stranger"
        yield Anomaly(Kind.NOT_ALLOWED, foreign.commande_id, service, foreign.at, "wrong_source", text)


def _clock_skews(queries: Queries, now: dt.datetime) -> Iterator[Anomaly]:
    for skew in case_queries.clock_skews(queries, now - RECENT):
        text = clocks.sentence(skew.commande_id, skew.cause, skew.effect, skew.worst_ms)
        yield Anomaly(Kind.CLOCK_SKEW, None, skew.effect, skew.at, f"against_{skew.cause}", text)
