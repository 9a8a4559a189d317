"""What must hold at the end of a run of any saga: each invariant is a pure function of the final state.

An instance in doubt (an event about it is a dead letter that needs a person) is exempt from termination. What a
saga's own tables must hold is not known here: an application adds its business invariants.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from choregraphie.errors import Reason
from choregraphie.saga.choreography import Choreography, Step
from choregraphie.saga.topology import dlx, events
from choregraphie.simulator.final_state import FinalState, identity, is_open, key_of, reason_of
from choregraphie.simulator.workload import BEGINNING
from choregraphie.storage.inbox import EventIdentity

Check = Callable[[Any], Iterator[str]]
GeneralCheck = Callable[[Choreography, FinalState], Iterator[str]]
# The reasons of invalid messages, which the clients of a plan send on purpose.
_INVALID_REASONS = {
    Reason.UNREADABLE,
    Reason.UNKNOWN_TYPE,
    Reason.UNKNOWN_VERSION,
    Reason.INVALID,
    Reason.SUBJECT_MISMATCH,
    Reason.WRONG_SENDER,
}


def general_checks(choreography: Choreography) -> dict[str, Check]:
    """The invariants of any saga, by their names."""
    return {name: _about(choreography, check) for name, check in _CHECKS.items()}


def _about(choreography: Choreography, check: GeneralCheck) -> Check:
    return lambda state: check(choreography, state)


def violations_of(checks: Mapping[str, Check], state: FinalState) -> list[str]:
    """Every invariant of `checks` that is violated, each with what was found instead."""
    return [f"{name}: {found}" for name, check in checks.items() for found in check(state)]


def termination(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """Every instance is decided; then every undoing or, where it is created, every step begun is answered."""
    begun = {action.key for action in state.actions if action.kind in BEGINNING}
    for key in sorted({*begun, *state.said} - state.in_doubt):
        said = state.said.get(key, {}).keys()
        if choreography.cancelled.TYPE in said:
            due = [step.undone.TYPE for step in choreography.undoings_due(said) if step.undone]
            missing = [type_ for type_ in due if type_ not in said]
        elif choreography.created.TYPE in said:
            missing = [s.success.TYPE for s in choreography.steps if not _answered(s, said)]
        else:
            missing = [f"{choreography.created.TYPE} or {choreography.cancelled.TYPE}"]
        if missing:
            yield f"{key}: without {', '.join(missing)}"


def _answered(step: Step, said: Any) -> bool:
    """Whether a step that was begun has been answered."""
    begun = all(event.TYPE in said for event in step.awaits)
    return not begun or step.success.TYPE in said or (step.refusal is not None and step.refusal.TYPE in said)


def one_decision(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """Each of the two decisions is taken once at most, and heard as one event."""
    decisions = (choreography.created.TYPE, choreography.cancelled.TYPE)
    for key, said in state.said.items():
        for type_ in decisions:
            if len(set(said.get(type_, ()))) > 1:
                yield f"{key}: {type_} was decided {len(said[type_])} times"
    heard: dict[tuple[str, str], set[EventIdentity]] = {}
    for message in state.history:
        if message.routing_key in decisions and message.exchange == events(choreography.decider):
            heard.setdefault((key_of(message), message.routing_key), set()).add(identity(message))
    yield from (f"{key}: {len(ids)} different {type_}" for (key, type_), ids in heard.items() if len(ids) > 1)


def nothing_lost(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """What was decided was published; what was published was handled by all who hear it, or is a dead letter."""
    for service, tables in state.tables.items():
        for row in tables["outbox"]:
            if row["said_at"] is None:
                yield f"{service} never published {row['type']} of {row['key']}"
            event = EventIdentity(f"/services/{service}", row["event_id"])
            yield from _unheard(choreography, state, row["type"], event, row["key"])
    for action in state.actions:
        if action.kind != "garbage":
            said = choreography.cancel_asked if action.kind == "cancel" else choreography.starts
            event = EventIdentity(action.source, action.event)
            yield from _unheard(choreography, state, said.TYPE, event, action.key)


def _unheard(
    choreography: Choreography, state: FinalState, type_: str, event: EventIdentity, key: str
) -> Iterator[str]:
    for service in choreography.services:
        hears = choreography.reaction(service, type_) is not None
        if hears and event not in state.inboxes[service] and event not in state.dead_events[service]:
            yield f"{service} never handled {type_} of {key}"


def no_double_effect(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """No cause has one effect twice, no event of one type is said twice of an instance, no step ends in two ways.

    An event that answers several decisions may be said once for each.
    """
    for service, tables in state.tables.items():
        # A timed reaction has no source: its cause is the event that its instance began with.
        done = Counter(
            (row["action"], row["cause_source"] or row["key"], row["cause"])
            for row in tables["journal"]
            if row["state"] == "done"
        )
        yield from (f"{service}: {action} twice for {cause}" for (action, _, cause), n in done.items() if n > 1)
    decisions = {event.TYPE for event in choreography.deciding}
    for key, said in state.said.items():
        for type_, ids in said.items():
            if len(ids) > max(1, len(decisions & choreography.causes.get(type_, frozenset()))):
                yield f"{key}: {type_} was decided {len(ids)} times"
        for step in choreography.steps:
            ends = {step.success.TYPE, step.refusal.TYPE} if step.refusal in choreography.refusals else set()
            if ends and ends <= said.keys():
                yield f"{key}: both {' and '.join(sorted(ends))}"


def dead_letters(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """Each dead letter has the bytes that were published, and a reason that this run can have."""
    written = {message.body for message in state.history if message.exchange not in map(dlx, state.tables)}
    kinds = {action.kind for action in state.actions}
    for service, dead in state.dead.items():
        for message in dead:
            reason, about = reason_of(message), f"{service}: a dead letter about {key_of(message)!r}"
            if message.body not in written:
                yield f"{about} has other bytes than were ever published"
            if not is_open(message) and not (reason in _INVALID_REASONS and "garbage" in kinds):
                yield f"{about} has the reason {reason!r}"
            if reason == Reason.EXHAUSTED and service not in state.may_fail:
                yield f"{about}: {message.headers.get('x-saga-detail')}"
            if reason == Reason.ID_COLLISION and "collide" not in kinds:
                yield f"{about} collides with nothing"


def hygiene(choreography: Choreography, state: FinalState) -> Iterator[str]:
    """Nothing remains that a run should have ended."""
    yield from state.remains


_CHECKS: dict[str, GeneralCheck] = {
    "I3 termination": termination,
    "I4 one decision": one_decision,
    "I6 nothing lost": nothing_lost,
    "I7 no double effect": no_double_effect,
    "I8 dead letters": dead_letters,
    "I10 hygiene": hygiene,
}
