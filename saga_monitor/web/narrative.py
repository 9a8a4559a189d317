"""One instance in words: what remains, what was undone, and the timeline in causal order."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from choregraphie.saga.choreography import Choreography
from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.causation import Causes
from saga_monitor.analysis.events_of_saga import is_absurd
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.analysis.saga_state import State, StepProgress, StepState
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.queries import RecordedEvent, SagaSummary
from saga_monitor.reports.instance_report import answered_within
from saga_monitor.reports.report import without_beginning
from saga_monitor.reports.timeline import wrong_sources
from saga_monitor.web.event_roles import EventRoles

# An instance with more entries was flooded; the JSON has all of them.
MOST_ENTRIES = 300


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of the timeline. `kind`: `event`, `retry`, `dead`. `after_ms`: since its cause.

    `time` of a retry or a dead letter: when its message was first published, or later. The retry came after it.
    """

    kind: str
    offset: int
    type: str
    lane: str
    role: str
    time: dt.datetime | None = None
    since_start_ms: float | None = None
    cause: str | None = None
    after_ms: float | None = None
    note: str = ""
    id: str | None = None
    causationid: str | None = None

    @property
    def since_start(self) -> str:
        """The time since the instance's beginning; `>` before a lower bound, a dash when it is not known."""
        if self.since_start_ms is None:
            return "–"
        return f"{'' if self.kind == 'event' else '> '}+{format_duration(self.since_start_ms)}"


def timeline_entries(
    roles: EventRoles,
    instance: SagaSummary,
    events: Sequence[RecordedEvent],
    retries: Iterable[Retry],
    dead_letters: Iterable[DeadLetter],
) -> list[TimelineEntry]:
    """Events, retries and dead letters: causes before effects, otherwise in the order of the stream."""
    causes, started = Causes(roles.choreography, events), instance.started
    named = {(event.source, event.id): event for event in events}
    wrong = wrong_sources(roles.choreography, events)
    entries = [_event(roles, event, causes, started, wrong) for event in _in_causal_order(events, causes)]
    beside = [_retry(retry, named.get((retry.source, retry.event_id or "")), started) for retry in retries]
    beside += [_dead_letter(letter, started) for letter in dead_letters]
    for other in sorted(beside, key=lambda entry: entry.offset):
        # After the last event that precedes it in the stream.
        place = max(
            (i + 1 for i, entry in enumerate(entries) if entry.offset < other.offset), default=len(entries)
        )
        entries.insert(place, _not_before(entries[place - 1].time if place else None, other, started))
    return entries[:MOST_ENTRIES]


def _not_before(earlier: dt.datetime | None, entry: TimelineEntry, started: dt.datetime | None) -> TimelineEntry:
    # AMQP timestamps are whole seconds, so a retry could seem to precede its message.
    if earlier is None or entry.time is None or entry.time >= earlier:
        return entry
    return replace(entry, time=earlier, since_start_ms=_ms(started, earlier))


def _in_causal_order(events: Sequence[RecordedEvent], causes: Causes[RecordedEvent]) -> list[RecordedEvent]:
    placed: dict[tuple[str, str, str], RecordedEvent] = {}
    for event in events:
        chain = [event]
        # Forged causes may form a cycle: an event is put on the chain only once.
        while (cause := causes.of(chain[-1])) is not None and cause not in chain:
            chain.append(cause)
        for link in reversed(chain):
            placed.setdefault((link.source, link.id, link.type), link)
    return list(placed.values())


def _event(
    roles: EventRoles,
    event: RecordedEvent,
    causes: Causes[RecordedEvent],
    started: dt.datetime | None,
    wrong: Collection[str],
) -> TimelineEntry:
    cause = causes.of(event)
    timed = cause is not None and not is_absurd(roles.choreography, cause.type, cause.time, event.time)
    timed = timed and cause is not None and not {cause.source, event.source}.intersection(wrong)
    return TimelineEntry(
        kind="event",
        offset=event.offset,
        type=event.type,
        lane=roles.speaker(event.type, event.source),
        role=roles.role(event.type),
        time=event.time,
        since_start_ms=None if event.source in wrong else _ms(started, event.time),
        cause=cause.type if cause else ("an event that was not heard" if event.causationid else None),
        after_ms=_ms(cause.time, event.time) if cause and timed else None,
        note=event.note or "",
        id=event.id,
        causationid=event.causationid,
    )


def _retry(retry: Retry, event: RecordedEvent | None, started: dt.datetime | None) -> TimelineEntry:
    tries = "1 try has" if retry.attempt == 1 else f"{retry.attempt} tries have"
    return TimelineEntry(
        kind="retry",
        offset=retry.offset,
        type=event.type if event else "an event that was not heard",
        lane=retry.service,
        role="retry",
        time=retry.at,
        since_start_ms=_ms(started, retry.at),
        note=f"{tries} failed: {retry.detail}" if retry.detail else f"{tries} failed",
    )


def _dead_letter(letter: DeadLetter, started: dt.datetime | None) -> TimelineEntry:
    return TimelineEntry(
        kind="dead",
        offset=letter.offset,
        type=letter.type or "an unreadable message",
        lane=letter.service,
        role="dead",
        time=letter.at,
        since_start_ms=_ms(started, letter.at),
        note=because(letter.reason, letter.detail),
    )


def _ms(start: dt.datetime | None, end: dt.datetime | None) -> float | None:
    # Clocks may disagree by some milliseconds; a duration is never negative.
    return max(0.0, (end - start).total_seconds() * 1000) if start and end else None


def headline(instance: SagaSummary, choreography: Choreography, now: dt.datetime, deadline: float) -> str:
    """The state of the instance in a sentence or two. `deadline` (s): how long an instance may stay undecided."""
    if never_begun := without_beginning(instance, choreography, now, deadline):
        return f"Unknown {choreography.noun[0]}: {never_begun}. Nothing is awaited."
    in_time = _in_time(instance, choreography)
    said = {
        State.NEW: "Begun; no service has answered yet.",
        State.RUNNING: "Under way.",
        State.FAILED: "A step has refused, and the decision is awaited.",
        State.COMPLETED: f"Completed{in_time}.",
        State.COMPENSATING: "Cancelled, and being undone.",
        State.COMPENSATED: f"Cancelled; every undoing was answered{in_time}.",
    }[instance.state]
    if not instance.remaining:
        return f"{said} Nothing remains."
    silence = format_duration(max(0.0, (now - instance.heard).total_seconds() * 1000))
    return f"{said} Silent for {silence}."


def _in_time(instance: SagaSummary, choreography: Choreography) -> str:
    """Of a completed instance, its whole time; of a cancelled one, from the cancellation to the last undoing."""
    if instance.state is not State.COMPENSATED:
        return f" in {format_duration(instance.duration_ms)}" if instance.duration_ms is not None else ""
    if choreography.orchestrator:
        return ""  # each is asked for after the one before, so none was under way since the cancellation
    within = answered_within(step.undoing_ms for step in undoings_of(instance, choreography))
    return f" within {format_duration(within)}" if within is not None else ""


def undoings_of(instance: SagaSummary, choreography: Choreography) -> list[StepProgress]:
    names = {step.name for step in choreography.undoings}
    return [step for step in instance.steps if step.step in names]


def whole_time(instance: SagaSummary, now: dt.datetime) -> tuple[str, str] | None:
    """A label and the time of the whole instance; None when nothing is measured."""
    if instance.state in {State.COMPLETED, State.COMPENSATED}:
        label = "Completed after" if instance.state is State.COMPLETED else "Over after"
        return label, format_duration(instance.duration_ms)
    if instance.state is State.UNKNOWN or instance.started is None:
        return None
    return "Under way for", format_duration(_ms(instance.started, now))


def step_word(instance: SagaSummary, step: StepProgress, choreography: Choreography) -> str:
    """The state of a step in words. The decider does not refuse instances, it cancels them."""
    declared = choreography.step_named(step.step)
    decides = declared is not None and declared is choreography.decision
    if not decides or instance.state not in {State.COMPENSATING, State.COMPENSATED}:
        return str(step.state)
    cancelled = f"cancelled the {choreography.noun[0]}"
    return "completed, then cancelled" if step.state is StepState.UNDONE else cancelled


def reason(entries: Sequence[TimelineEntry]) -> str:
    """The first reason that was given for a refusal or a cancellation; empty when there is none."""
    given = _given(entries)
    return given[0].note if given else ""


def reason_by(entries: Sequence[TimelineEntry]) -> str:
    """Who gave that reason; empty when there is none."""
    given = _given(entries)
    return given[0].lane if given else ""


def _given(entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    return [m for part in ("refusal", "cancel") for m in entries if m.role == part and m.note]


def remaining(instance: SagaSummary, roles: EventRoles) -> list[str]:
    """What is still awaited, one sentence each."""
    return [roles.awaited_sentence(type_) for type_ in instance.remaining]
