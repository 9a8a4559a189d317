"""The rules that are judged on every abstract run: what is undone, what waits, what ends. Pure."""

from collections.abc import Callable, Iterator

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace
from choregraphie.prover.static_rules import undoing_of
from choregraphie.prover.transitions import State
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step


def violations(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    yield from _reachable(choreography, runs)
    yield from _cycle(choreography, runs)
    yield from _gives_up(choreography, runs)
    yield from _undone(choreography, runs)
    yield from _irreversible(choreography, runs)
    yield from _deadline(choreography, runs)
    yield from _ends(choreography, runs)


def _reached(choreography: Choreography, runs: StateSpace) -> set[Reaction]:
    settled = 0
    for state in runs.states:
        settled |= state.settled
    return set(runs.model.of(settled))


def _reachable(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    reached = _reached(choreography, runs)
    for reaction in choreography.reactions:
        if reaction in reached:
            yield from _sayable(runs, reaction)
            continue
        sayers = sorted({r.service for r in choreography.reactions if reaction.hears in r.says})
        what = (
            f"{reaction.service} waits for {reaction.hears.TYPE}, which {', '.join(sayers)} would say, "
            "and no run gets there"
        )
        yield Violation(
            Rule.REACHABLE, what, reaction.service, f"let something that happens lead to {reaction.hears.TYPE}"
        )


def _sayable(runs: StateSpace, reaction: Reaction) -> Iterator[Violation]:
    """Each event that a reaction is declared to say is said by it in some run."""
    service, hears = reaction.service, reaction.hears
    said = {move.says for move in runs.seen if (move.service, move.hears) == (service, hears)}
    for event in (event for event in reaction.says if event not in said):
        what = f"{service}, hearing {hears.TYPE}, is declared to say {event.TYPE}, and no run gets there"
        remedy = f"take {event.__name__} away from what that reaction says"
        yield Violation(Rule.REACHABLE, what, service, remedy, runs.to_hearing(reaction))


def _cycle(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    reached = _reached(choreography, runs)
    told: set[frozenset[Reaction]] = set()
    for first in (r for r in choreography.reactions if r in reached):
        ring = _back_to(first, reached)
        if not ring or frozenset(ring) in told:
            continue
        told.add(frozenset(ring))
        state = runs.settling(ring)
        path = " → ".join(r.hears.TYPE for r in (*ring, first))
        what = f"{path}: the second time round, {first.service} has reacted already and stays silent"
        remedy = "say another event the second time, or refuse"
        yield Violation(Rule.CYCLE, what, first.service, remedy, runs.to(state) if state else ())


def _back_to(first: Reaction, among: set[Reaction]) -> tuple[Reaction, ...]:
    """A shortest ring of reactions, each hearing what the one before says, from `first` to itself."""
    rings: list[tuple[Reaction, ...]] = [(first,)]
    seen = {first}
    for ring in rings:
        if first.hears in ring[-1].says:
            return ring
        for reaction in among - seen:
            if reaction.hears in ring[-1].says:
                seen.add(reaction)
                rings.append((*ring, reaction))
    return ()


def _gives_up(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    for reaction in choreography.reactions:
        if reaction.refusal or reaction.decision or reaction.undoes or _notes(choreography, reaction):
            continue
        state = runs.nearest(_given_up_undecided(runs, reaction))
        if state is not None:
            what = (
                f"{reaction.service}, hearing {reaction.hears.TYPE}, can give up before the decision, "
                "and has no refusal: nobody would know"
            )
            remedy = f"give the reaction a refusal=… that {choreography.decider} hears"
            yield Violation(Rule.GIVES_UP, what, reaction.service, remedy, runs.to(state))


def _given_up_undecided(runs: StateSpace, reaction: Reaction) -> Callable[[State], bool]:
    bit = runs.model.bits([reaction])
    return lambda state: bool(state.dead & bit) and not runs.model.decided(state)


def _forward(choreography: Choreography) -> Iterator[Reaction]:
    """The reactions that do something before a cancellation is known, undoings apart."""
    before = {choreography.starts, choreography.cancel_asked}
    while True:
        reacting = [r for r in choreography.reactions if r.hears in before]
        said: set[EventClass] = {event for r in reacting for event in r.says} - {choreography.cancelled}
        if said <= before:
            return (r for r in reacting if not (r.undoes or _notes(choreography, r)))
        before |= said


def _notes(choreography: Choreography, reaction: Reaction) -> bool:
    """The decider only takes note: whatever becomes of that, the order's state is its own to decide."""
    return reaction.service == choreography.decider and not (reaction.says or reaction.decision)


def _taken_back(choreography: Choreography, reaction: Reaction) -> bool:
    return any(
        reaction.hears in other.undoes
        for other in choreography.heard_by(reaction.service)
        if other.hears is choreography.cancelled
    )


def _undone(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    for reaction in _forward(choreography):
        too_early = reaction.irreversible and _before_creation(choreography, runs, reaction)
        if reaction.decision or too_early or _taken_back(choreography, reaction):
            continue
        state = runs.nearest(_left_behind(choreography, runs, reaction))
        if state is not None:
            yield _left(choreography, reaction, runs, state)


def _left_behind(choreography: Choreography, runs: StateSpace, reaction: Reaction) -> Callable[[State], bool]:
    """Carried out, or perhaps; the order cancelled; and its service, if it hears that, has heard it."""
    bit = runs.model.bits([reaction])
    hears = choreography.reaction(reaction.service, choreography.cancelled.TYPE)
    told = runs.model.bits([hears]) if hears else 0
    return lambda state: (
        bool(state.carried & bit)
        and runs.model.said(state, choreography.cancelled)
        and state.settled & told == told
        and not state.dead & (told | bit)
    )


def _left(choreography: Choreography, reaction: Reaction, runs: StateSpace, state: State) -> Violation:
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
            runs.to(state),
        )
    what = f"{service} hears {cancelled.TYPE}, and {done} is not among what that undoes"
    remedy = f"add {reaction.hears.__name__} to undoes=(…) of that reaction"
    return Violation(Rule.UNDONE, what, service, remedy, runs.to(state))


def _before_creation(choreography: Choreography, runs: StateSpace, reaction: Reaction) -> State | None:
    bit = runs.model.bits([reaction])
    return runs.nearest(lambda s: bool(s.carried & bit) and not runs.model.said(s, choreography.created))


def _irreversible(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    for reaction in _forward(choreography):
        state = _before_creation(choreography, runs, reaction) if reaction.irreversible else None
        if state is None or _taken_back(choreography, reaction):
            continue
        what = (
            f"what {reaction.service} does on {reaction.hears.TYPE} cannot be taken back, "
            f"and the order may still be refused: {choreography.created.TYPE} is not said"
        )
        undoing = undoing_of(choreography, reaction.service, None)
        remedy = f"let it hear {choreography.created.__name__}, or make it good: {undoing}"
        yield Violation(Rule.IRREVERSIBLE, what, reaction.service, remedy, runs.to(state))


def _deadline(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    ends = set(runs.ends)
    state = runs.nearest(lambda s: _waits_for_ever(choreography, runs, s, s in ends))
    if state is None:
        return
    decider = choreography.decider
    what = f"{decider} waits, and no clock of its own ends the wait when the answer never comes"
    cancelled, starts = choreography.cancelled.__name__, choreography.starts.__name__
    heard = (r.hears for r in choreography.heard_by(decider) if r.decision)
    telling = [event for event in heard if event is not choreography.cancel_asked]
    after = ", ".join(event.__name__ for event in dict.fromkeys((choreography.starts, *telling)))
    remedy = f'add Timed("{decider}", ({cancelled},), after=({after})), and let {decider} hear {starts}'
    yield Violation(Rule.DEADLINE, what, decider, remedy, runs.to(state))


def _waits_for_ever(choreography: Choreography, runs: StateSpace, state: State, at_end: bool) -> bool:
    model = runs.model
    if model.decided(state):
        return False
    if any(choreography.cancelled in timed.says for timed in model.clocks(state)):
        return False
    waits = model.knows(state) or model.told_by_a_service(state) or not model.takes_note
    return waits or (at_end and not state.dead)


def _ends(choreography: Choreography, runs: StateSpace) -> Iterator[Violation]:
    if runs.nearest(lambda state: runs.model.said(state, choreography.created)) is None:
        what = f"no run ends in {choreography.created.TYPE}"
        remedy = f"let {choreography.decider} hear what its step comes after"
        yield Violation(Rule.ENDS, what, choreography.decider, remedy)
    ends = [state for state in runs.ends if not state.dead]
    reached = _reached(choreography, runs)
    for step in choreography.steps:
        if choreography.reaction(step.service, step.after.TYPE) not in reached:
            continue  # said once, as a reaction that no run reaches
        for what, remedy, unfinished in _unfinished(choreography, runs, step):
            state = next((state for state in ends if unfinished(state)), None)
            if state is not None:
                yield Violation(Rule.ENDS, what, step.service, remedy, runs.to(state))


def _unfinished(
    choreography: Choreography, runs: StateSpace, step: Step
) -> Iterator[tuple[str, str, Callable[[State], bool]]]:
    """How a run can end, and with nobody called for, before `step` has said its last word."""
    said = runs.model.said
    created, cancelled, undone = choreography.created, choreography.cancelled, step.undone
    what = f"the order ends created, and {step.success.TYPE} is never said"
    remedy = f"let {choreography.decider} hear the refusal and cancel"
    yield what, remedy, lambda s: said(s, created) and not (said(s, cancelled) or said(s, step.success))
    if undone:
        what = f"the order ends cancelled, and {undone.TYPE} is never said"
        remedy = f"let {step.service} always answer {cancelled.TYPE}"
        yield what, remedy, lambda s: said(s, cancelled) and not said(s, undone)
