"""Finds anomalies in the projection; each has a sentence that says what happened and what to do.

Only instances in flight and flagged ones are examined, however many there are. The state of the broker's queues
comes in as data (`broker_status.py`), so this module needs no connection.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.analysis import contradictions
from saga_monitor.analysis.anomaly import RECENT, Anomaly, Kind, Thresholds
from saga_monitor.analysis.messages import GRACE, DeadLetter, Hold
from saga_monitor.analysis.saga_state import GIVEN_UP, Flag, State
from saga_monitor.diagnosis.broker_anomalies import queue_anomalies, unknown_dead_letters
from saga_monitor.diagnosis.causes import Evidence, Reason, cause_of, remedy
from saga_monitor.diagnosis.history_anomalies import clock_skews, history_anomalies, untrusted_events
from saga_monitor.diagnosis.holds import held_instance, hold_anomalies
from saga_monitor.diagnosis.instance_anomalies import half_undone, in_review, stuck
from saga_monitor.diagnosis.pending import longest_wait, pending_steps
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection import case_queries
from saga_monitor.projection.case_queries import Case, SampledLetter
from saga_monitor.projection.counters import Histogram, bounded
from saga_monitor.projection.models import LastHeard
from saga_monitor.projection.queries import Queries
from saga_monitor.projection.sampling import Cutoffs
from saga_monitor.projection.schema import instant
from saga_monitor.records.broker_status import BrokerStatus

__all__ = [
    "RECENT",
    "SHOWN_FOR",
    "Anomaly",
    "Kind",
    "Thresholds",
    "anomalies_of",
    "anomalies_of_instance",
    "as_json",
]

# How long a permanent fact (a contradiction, a repeated start) is listed. Its instance's page always shows it.
SHOWN_FOR = dt.timedelta(days=1)


_KIND_OF = {
    Flag.CONTRADICTION: Kind.CONTRADICTION,
    Flag.NOT_ALLOWED: Kind.NOT_ALLOWED,
    Flag.REPEATED_START: Kind.REPEATED_START,
}


@dataclass(frozen=True, slots=True)
class _Context:
    """What all instances of one judgement share."""

    now: dt.datetime
    thresholds: Thresholds
    status: BrokerStatus | None
    last_heard: dict[str, LastHeard]
    spreads: Mapping[tuple[str, str], Histogram]
    sagas: SagaSet
    holds: Sequence[Hold]

    def expected(self, saga: str, step: str, undoing: bool) -> dt.timedelta:
        """How long a step may take: see `longest_wait`."""
        return longest_wait(self.spreads, saga, step, undoing, self.thresholds.stuck_after)

    def settle(self, saga: str) -> str:
        """How the command begins with which a person gives an answer in an instance of `saga`."""
        which = f" --saga {saga}" if self.sagas.several else ""
        return f"{self.thresholds.command} settle{which}"

    def marks(self) -> Cutoffs:
        """The moments and offsets that separate instances waiting for the same step; one per group is examined."""
        steps = [(saga.name, step.name) for saga in self.sagas for step in saga.steps]
        late = {self.now - self.expected(*step, undo) for step in steps for undo in (False, True)}
        last_heard = self.last_heard.values()
        moments = sorted(late | {latest.at - GRACE for latest in last_heard})
        return Cutoffs(moments, sorted(latest.offset for latest in last_heard))


def _context(queries: Queries, status: BrokerStatus | None, now: dt.datetime, thresholds: Thresholds) -> _Context:
    heard, spreads = case_queries.last_heard(queries), case_queries.step_spreads(queries)
    return _Context(now, thresholds, status, heard, spreads, queries.sagas, queries.holds(now))


def anomalies_of(
    queries: Queries, status: BrokerStatus | None, now: dt.datetime, thresholds: Thresholds
) -> list[Anomaly]:
    """All anomalies now: the most severe kind first, within a kind the oldest first."""
    context = _context(queries, status, now, thresholds)
    cases = case_queries.cases(queries, thresholds.stuck_after, now, context.marks())
    found = [anomaly for case in cases for anomaly in _of_instance(case, context) if _is_listed(anomaly, now)]
    found = _counted(found, case_queries.flagged_beyond(queries, cases, now - SHOWN_FOR))
    if status is not None:
        found += list(queue_anomalies(queries, status, found, thresholds.command))
    found += [
        *_dead_letters(queries, status, now, thresholds.command),
        *untrusted_events(queries, now),
        *clock_skews(queries, now),
        *hold_anomalies(queries, now),
    ]
    found += history_anomalies(queries, status, now, thresholds)
    return sorted(found, key=_severity)


def anomalies_of_instance(
    queries: Queries, instance: Instance, status: BrokerStatus | None, now: dt.datetime, thresholds: Thresholds
) -> list[Anomaly]:
    """The anomalies of one instance, however old."""
    context = _context(queries, status, now, thresholds)
    case = case_queries.case(queries, instance, now)
    return sorted(_of_instance(case, context), key=_severity) if case else []


def as_json(anomaly: Anomaly, sagas: SagaSet) -> dict[str, Any]:
    """The anomaly for a program; its key has the name that its saga declares."""
    since = anomaly.since
    said = since.isoformat(timespec="milliseconds").replace("+00:00", "Z") if since else None
    fields = asdict(anomaly) | {"since": said}
    names = {"saga": "saga", "key": sagas.key_of(anomaly.saga)}
    return {names.get(name, name): value for name, value in fields.items()}


def _severity(anomaly: Anomaly) -> tuple[int, int, str]:
    return list(Kind).index(anomaly.kind), instant(anomaly.since) or 0, anomaly.key or ""


def _is_listed(anomaly: Anomaly, now: dt.datetime) -> bool:
    """Whether it is among those of all instances: it is not too old, and no hold stands for it."""
    lasts = anomaly.kind in _KIND_OF.values() and anomaly.since is not None
    return anomaly.kind is not Kind.HELD and not (lasts and anomaly.since and now - anomaly.since > SHOWN_FOR)


def _counted(anomalies: Sequence[Anomaly], beyond: Mapping[Flag, int]) -> list[Anomaly]:
    """Adds the flagged instances that were not examined to the count of the oldest of each kind, being older."""
    counted = list(anomalies)
    for flag, kind in _KIND_OF.items():
        mine = [number for number, anomaly in enumerate(counted) if anomaly.kind == kind]
        if mine and beyond[flag]:
            oldest = min(mine, key=lambda number: _severity(counted[number]))
            counted[oldest] = replace(counted[oldest], count=1 + beyond[flag])
    return counted


def _of_instance(case: Case, context: _Context) -> Iterator[Anomaly]:
    yield from _waiting(case, context)
    about, last_heard = case.summary.instance, case.summary.heard
    for fault in contradictions.contradictions(case.heard):
        text = f"{about.key}: {fault.what}; compare the journal of {fault.service} with what really happened"
        yield Anomaly(
            Kind.CONTRADICTION, *about, fault.service, fault.event.time or last_heard, fault.reason, text
        )
    for fault in contradictions.not_allowed(case.heard):
        text = f"{about.key}: {fault.what}; see which program speaks for {fault.service}"
        yield Anomaly(Kind.NOT_ALLOWED, *about, fault.service, fault.event.time or last_heard, fault.reason, text)
    choreography = case.heard.choreography
    starts = [event for event in case.heard.events if event.type == choreography.starts.TYPE]
    if len(starts) > 1:
        text = f"{about.key}: {len(starts)} different {choreography.noun[1]} have this id, and only the first is"
        text += (
            f" carried out: the client should place the other{'s' if len(starts) > 2 else ''} again with a new id"
        )
        yield Anomaly(Kind.REPEATED_START, *about, None, starts[-1].time or last_heard, "same_id", text)


def _waiting(case: Case, context: _Context) -> Iterator[Anomaly]:
    summary, status = case.summary, context.status
    # An empty queue holds no dead letter of this instance: somebody sent it back or removed it.
    letters = [one for one in case.dead_letters if status is None or status.dead_letters(one.service) != 0]
    evidence = _evidence(case, letters, context)
    held = {hold.service for hold in context.holds}
    late = {}
    waits = pending_steps(summary.state, summary.at_rest, summary.remaining, case.heard)
    reviewed = {wait: cause_of(wait, evidence) for wait in waits if wait.awaited in case.heard.in_review}
    yield from in_review(case, reviewed, context.settle(summary.saga))
    for wait in (wait for wait in waits if wait not in reviewed):
        given_up = any(one.service == wait.service and one.reason in GIVEN_UP for one in letters)
        expected = context.expected(summary.saga, wait.step, wait.undoing)
        if given_up or wait.service in held or context.now - summary.heard > expected:
            late[wait] = cause_of(wait, evidence)
    yield from held_instance(case, late, context.holds)
    late = {wait: cause for wait, cause in late.items() if cause.reason is not Reason.OUTSIDE_DOWN}
    undoings = {wait: cause for wait, cause in late.items() if wait.undoing}
    if undoings and summary.state is State.COMPENSATING:
        yield from half_undone(case, undoings)
    else:
        yield from stuck(case, late, context.now)


def _evidence(case: Case, letters: Sequence[DeadLetter], context: _Context) -> Evidence:
    summary = case.summary
    return Evidence(
        choreography=case.heard.choreography,
        command=context.thresholds.command,
        key=summary.key,
        heard=summary.heard,
        last_offset=summary.last_offset,
        now=context.now,
        tries=context.thresholds.tries,
        status=context.status,
        retries=case.retries,
        dead_letters=letters,
        last_heard=context.last_heard,
        undone=summary.state is State.COMPENSATED,
        foreign=context.sagas.foreign,
        holds=context.holds,
    )


def _dead_letters(
    queries: Queries, status: BrokerStatus | None, now: dt.datetime, command: str
) -> Iterator[Anomaly]:
    for service in queries.sagas.services:
        # The newest are the ones still in the queue. When the broker cannot be asked, take those of the last hour.
        held = status.dead_letters(service) if status else None
        if status is None or held is None:
            letters = case_queries.newest_dead_letters(queries, service, None, now - RECENT)
        else:
            letters = case_queries.newest_dead_letters(queries, service, held)
            yield from unknown_dead_letters(service, status, sum(1 + letter.similar for letter in letters))
        yield from (_dead_letter(letter, queries.sagas, command) for letter in letters)


def _dead_letter(sampled: SampledLetter, sagas: SagaSet, command: str) -> Anomaly:
    letter = sampled.letter
    todo = remedy(letter, sagas.by_name.get(letter.saga or ""), command, undone=sampled.undone)
    what = f"{letter.type or 'a message'} is in {letter.service}.dlq"
    of = f"{letter.key}: " if letter.key else ""
    text = f"{of}{what}: {because(letter.reason, letter.detail)}; {todo}"
    return Anomaly(
        *(Kind.DEAD_LETTER, letter.saga, letter.key, letter.service, letter.at, bounded(letter.reason), text),
        count=1 + sampled.similar,
        letter=letter.offset,
    )
