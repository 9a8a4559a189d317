"""The rules that are checked on every abstract run: what is undone, what waits, what ends. Pure."""

from collections.abc import Callable, Iterator

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace
from choregraphie.prover.static_rules import undoing_of
from choregraphie.prover.transitions import State
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step


def violations(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    yield from _reachable(choreography, space)
    yield from _cycle(choreography, space)
    yield from _gives_up(choreography, space)
    yield from _undone(choreography, space)
    yield from _irreversible(choreography, space)
    yield from _deadline(choreography, space)
    yield from _ends(choreography, space)


def _reached(choreography: Choreography, space: StateSpace) -> set[Reaction]:
    settled = 0
    for state in space.states:
        settled |= state.settled
    return set(space.model.of(settled))


def _reachable(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    reached = _reached(choreography, space)
    for reaction in choreography.reactions:
        if reaction in reached:
            yield from _sayable(space, reaction)
            continue
        speakers = sorted({r.service for r in choreography.reactions if reaction.hears in r.says})
        what = (
            f"{reaction.service} waits for {reaction.hears.TYPE}, which {', '.join(speakers)} would say, "
            "and no run gets there"
        )
        yield Violation(
            Rule.REACHABLE, what, reaction.service, f"let something that happens lead to {reaction.hears.TYPE}"
        )


def _sayable(space: StateSpace, reaction: Reaction) -> Iterator[Violation]:
    """The events that `reaction` is declared to say and that it says in no run."""
    service, hears = reaction.service, reaction.hears
    said = {
        transition.says
        for transition in space.transitions
        if (transition.service, transition.hears) == (service, hears)
    }
    for event in (event for event in reaction.says if event not in said):
        what = f"{service}, hearing {hears.TYPE}, is declared to say {event.TYPE}, and no run gets there"
        remedy = f"take {event.__name__} away from what that reaction says"
        yield Violation(Rule.REACHABLE, what, service, remedy, space.path_to_hearing(reaction))


def _cycle(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    reached = _reached(choreography, space)
    reported: set[frozenset[Reaction]] = set()
    for first in (r for r in choreography.reactions if r in reached):
        cycle = _cycle_from(first, reached)
        if not cycle or frozenset(cycle) in reported:
            continue
        reported.add(frozenset(cycle))
        state = space.first_settling(cycle)
        path = " → ".join(r.hears.TYPE for r in (*cycle, first))
        what = f"{path}: the second time, {first.service} has reacted already and says nothing"
        remedy = "say another event the second time, or refuse"
        yield Violation(Rule.CYCLE, what, first.service, remedy, space.path_to(state) if state else ())


def _cycle_from(first: Reaction, among: set[Reaction]) -> tuple[Reaction, ...]:
    """A shortest cycle from `first` to itself, each reaction hearing what the one before says; () without one."""
    paths: list[tuple[Reaction, ...]] = [(first,)]
    seen = {first}
    for cycle in paths:
        if first.hears in cycle[-1].says:
            return cycle
        for reaction in among - seen:
            if reaction.hears in cycle[-1].says:
                seen.add(reaction)
                paths.append((*cycle, reaction))
    return ()


def _gives_up(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    for reaction in choreography.reactions:
        if reaction.refusal or reaction.decision or reaction.undoes or _notes(choreography, reaction):
            continue
        state = space.first(_given_up_undecided(space, reaction))
        if state is not None:
            what = (
                f"{reaction.service}, hearing {reaction.hears.TYPE}, can give up before the decision, "
                "and has no refusal: no service would know"
            )
            remedy = f"give the reaction a refusal=… that {choreography.decider} hears"
            yield Violation(Rule.GIVES_UP, what, reaction.service, remedy, space.path_to(state))


def _given_up_undecided(space: StateSpace, reaction: Reaction) -> Callable[[State], bool]:
    bit = space.model.bits([reaction])
    return lambda state: bool(state.dead & bit) and not space.model.decided(state)


def _forward(choreography: Choreography) -> Iterator[Reaction]:
    """The reactions that do something before a cancellation is known, except undoings."""
    before = {choreography.starts, choreography.cancel_asked}
    while True:
        reacting = [r for r in choreography.reactions if r.hears in before]
        said: set[EventClass] = {event for r in reacting for event in r.says} - {choreography.cancelled}
        if said <= before:
            return (r for r in reacting if not (r.undoes or _notes(choreography, r)))
        before |= said


def _notes(choreography: Choreography, reaction: Reaction) -> bool:
    """Whether the decider only records the event: it decides about the instance whatever becomes of that."""
    return reaction.service == choreography.decider and not (reaction.says or reaction.decision)


def _taken_back(choreography: Choreography, reaction: Reaction) -> bool:
    return any(
        reaction.hears in other.undoes
        for other in choreography.heard_by(reaction.service)
        if other.hears is choreography.cancelled
    )


def _undone(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    for reaction in _forward(choreography):
        too_early = reaction.irreversible and _before_creation(choreography, space, reaction)
        if reaction.decision or too_early or _taken_back(choreography, reaction):
            continue
        state = space.first(_not_undone(choreography, space, reaction))
        if state is not None:
            yield _undone_violation(choreography, reaction, space, state)


def _not_undone(choreography: Choreography, space: StateSpace, reaction: Reaction) -> Callable[[State], bool]:
    """Whether `reaction` may have been carried out, the order is cancelled, and its service knows if it can."""
    bit = space.model.bits([reaction])
    hears = choreography.reaction(reaction.service, choreography.cancelled.TYPE)
    reported = space.model.bits([hears]) if hears else 0
    return lambda state: (
        bool(state.carried_out & bit)
        and space.model.said(state, choreography.cancelled)
        and state.settled & reported == reported
        and not state.dead & (reported | bit)
    )


def _undone_violation(
    choreography: Choreography, reaction: Reaction, space: StateSpace, state: State
) -> Violation:
    service, cancelled = reaction.service, choreography.cancelled
    hears = choreography.reaction(service, cancelled.TYPE)
    done = f"what {service} does on {reaction.hears.TYPE}"
    if hears is None:
        step = choreography.step(service)
        what = f"the order is cancelled, {service} does not hear {cancelled.TYPE}, and {done} is never undone"
        return Violation(
            Rule.UNDONE,
            what,
            service,
            "add " + undoing_of(choreography, service, step.undone if step else None),
            space.path_to(state),
        )
    what = f"{service} hears {cancelled.TYPE}, and {done} is not among what that undoes"
    remedy = f"add {reaction.hears.__name__} to undoes=(…) of that reaction"
    return Violation(Rule.UNDONE, what, service, remedy, space.path_to(state))


def _before_creation(choreography: Choreography, space: StateSpace, reaction: Reaction) -> State | None:
    bit = space.model.bits([reaction])
    return space.first(lambda s: bool(s.carried_out & bit) and not space.model.said(s, choreography.created))


def _irreversible(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    for reaction in _forward(choreography):
        state = _before_creation(choreography, space, reaction) if reaction.irreversible else None
        if state is None or _taken_back(choreography, reaction):
            continue
        what = (
            f"what {reaction.service} does on {reaction.hears.TYPE} cannot be undone, "
            f"and the order may still be refused: {choreography.created.TYPE} is not said"
        )
        undoing = undoing_of(choreography, reaction.service, None)
        remedy = f"let it hear {choreography.created.__name__}, or correct it: {undoing}"
        yield Violation(Rule.IRREVERSIBLE, what, reaction.service, remedy, space.path_to(state))


def _deadline(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    final_states = set(space.final_states)
    state = space.first(lambda s: _waits_forever(choreography, space, s, s in final_states))
    if state is None:
        return
    decider = choreography.decider
    what = f"{decider} waits, and no deadline of its own ends the wait when the answer never comes"
    cancelled, starts = choreography.cancelled.__name__, choreography.starts.__name__
    heard = (r.hears for r in choreography.heard_by(decider) if r.decision)
    informing = [event for event in heard if event is not choreography.cancel_asked]
    after = ", ".join(event.__name__ for event in dict.fromkeys((choreography.starts, *informing)))
    remedy = f'add Deadline("{decider}", ({cancelled},), after=({after})), and let {decider} hear {starts}'
    yield Violation(Rule.DEADLINE, what, decider, remedy, space.path_to(state))


def _waits_forever(choreography: Choreography, space: StateSpace, state: State, at_end: bool) -> bool:
    model = space.model
    if model.decided(state):
        return False
    if any(choreography.cancelled in timed.says for timed in model.running_deadlines(state)):
        return False
    waits = model.has_noted(state) or model.heard_from_a_service(state) or not model.notes_orders
    return waits or (at_end and not state.dead)


def _ends(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    if space.first(lambda state: space.model.said(state, choreography.created)) is None:
        what = f"no run ends in {choreography.created.TYPE}"
        remedy = f"let {choreography.decider} hear what its step comes after"
        yield Violation(Rule.ENDS, what, choreography.decider, remedy)
    final_states = [state for state in space.final_states if not state.dead]
    reached = _reached(choreography, space)
    for step in choreography.steps:
        if choreography.reaction(step.service, step.after.TYPE) not in reached:
            continue  # reported once, as a reaction that no run reaches
        for what, remedy, unfinished in _unfinished(choreography, space, step):
            state = next((state for state in final_states if unfinished(state)), None)
            if state is not None:
                yield Violation(Rule.ENDS, what, step.service, remedy, space.path_to(state))


def _unfinished(
    choreography: Choreography, space: StateSpace, step: Step
) -> Iterator[tuple[str, str, Callable[[State], bool]]]:
    """How a run can end, without a dead letter, before `step` has said its last event."""
    said = space.model.said
    created, cancelled, undone = choreography.created, choreography.cancelled, step.undone
    what = f"the order ends created, and {step.success.TYPE} is never said"
    remedy = f"let {choreography.decider} hear the refusal and cancel"
    yield what, remedy, lambda s: said(s, created) and not (said(s, cancelled) or said(s, step.success))
    if undone:
        what = f"the order ends cancelled, and {undone.TYPE} is never said"
        remedy = f"let {step.service} always answer {cancelled.TYPE}"
        yield what, remedy, lambda s: said(s, cancelled) and not said(s, undone)
