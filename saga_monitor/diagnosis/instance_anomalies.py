"""Anomalies of the instances that wait: stuck, half undone, in review by their orchestrator. Pure."""

import datetime as dt
import types
from collections.abc import Iterator, Mapping
from typing import get_args

from choregraphie.saga.choreography import EventClass
from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.anomaly import Anomaly, Kind
from saga_monitor.diagnosis.causes import Cause, Reason
from saga_monitor.diagnosis.pending import PendingStep, needed_by
from saga_monitor.projection.case_queries import Case


def stuck(case: Case, late: Mapping[PendingStep, Cause], now: dt.datetime) -> Iterator[Anomaly]:
    """One anomaly of each branch that does not go on."""
    about, heard = case.summary.instance, case.summary.heard
    silent = format_duration((now - heard).total_seconds() * 1000)
    for wait, cause in late.items():
        needed = needed_by(case.heard.choreography, wait.awaited)
        text = f"{about.key} waits for {wait.awaited} of {wait.service}{needed}, silent for {silent}: "
        text += cause.sentence
        yield Anomaly(Kind.STUCK, *about, wait.service, heard, cause.reason, text, 1 + case.similar)


def half_undone(case: Case, undoings: Mapping[PendingStep, Cause]) -> Iterator[Anomaly]:
    """One anomaly of each undoing whose answer is missing."""
    about, heard = case.summary.instance, case.summary.heard
    for wait, cause in undoings.items():
        since = (wait.trigger.time if wait.trigger else None) or heard
        text = f"{about.key} is cancelled, and {wait.service} has not said {wait.awaited}: {cause.sentence}"
        yield Anomaly(Kind.HALF_UNDONE, *about, wait.service, since, cause.reason, text, 1 + case.similar)


def in_review(case: Case, waits: Mapping[PendingStep, Cause], settle: str) -> Iterator[Anomaly]:
    """One anomaly of each missing answer for which the orchestrator asks for a person.

    settle  how the command begins with which a person gives such an answer
    """
    about = case.summary.instance
    for wait, cause in waits.items():
        asked = case.heard.in_review[wait.awaited]
        step = f"the undoing of the step {wait.step}" if wait.undoing else f"the step {wait.step}"
        text = (
            f"{about.key} is in review: {asked.service} asks for a person, because {step} is not answered in time"
            f" ({wait.awaited} of {wait.service} is missing){_why(cause)}{_by_hand(case, wait, settle)}"
        )
        since = asked.time or case.summary.heard
        reason = "undoing_failed" if wait.undoing else "no_answer"
        yield Anomaly(Kind.REVIEW, *about, wait.service, since, reason, text, 1 + case.similar)


def _why(cause: Cause) -> str:
    return "" if cause.reason is Reason.UNKNOWN else f": {cause.sentence}"


def _by_hand(case: Case, wait: PendingStep, settle: str) -> str:
    """What a person types after doing the work by hand. Nobody settles a decision."""
    saga = case.heard.choreography
    if not wait.step or wait.awaited in {saga.created.TYPE, saga.cancelled.TYPE}:
        return ""
    given = "".join(f" --set {name}=VALUE" for name in _to_give(saga.event_types[wait.awaited]))
    which = "undone" if wait.undoing else "done"
    command = f"{settle} {case.summary.key} --{which} {wait.step}{given} --because TEXT"
    return f". Or do it by hand, and `{command}` answers for {wait.service}"


def _to_give(event: EventClass) -> list[str]:
    """The fields of `event` that nothing but a person can fill."""
    known = {event.KEY, event.REASON}
    nullable = {name for name, field in event.model_fields.items() if types.NoneType in get_args(field.annotation)}
    return [name for name in event.model_fields if name not in known | nullable]
