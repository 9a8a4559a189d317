"""The rules that are checked on every abstract run: what is undone, what waits, what ends. Pure."""

from collections.abc import Iterator
from itertools import product

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import Goal, Run, Space, settled
from choregraphie.prover.static_rules import class_names, undoing_of
from choregraphie.prover.transitions import Fact
from choregraphie.saga.choreography import Choreography, Reaction, Step, names_of


def violations(choreography: Choreography, space: Space) -> Iterator[Violation]:
    yield from _reachable(choreography, space)
    yield from _cycle(choreography, space)
    yield from _gives_up(choreography, space)
    yield from _undone(choreography, space)
    yield from _irreversible(choreography, space)
    yield from _deadline(choreography, space)
    yield from _ends(choreography, space)


def _reached(choreography: Choreography, space: Space) -> set[Reaction]:
    return {reaction for reaction in choreography.reactions if space.path_to_hearing(reaction)}


def _reachable(choreography: Choreography, space: Space) -> Iterator[Violation]:
    reached = _reached(choreography, space)
    for reaction in choreography.reactions:
        if reaction in reached:
            yield from _sayable(space, reaction)
            continue
        missing = [event for event in reaction.awaits if not space.path_to_saying(event)] or reaction.awaits
        speakers = sorted({r.service for r in choreography.reactions if set(missing) & set(r.says)})
        types = names_of(missing)
        what = (
            f"{reaction.service} waits for {types}, which {', '.join(speakers)} would say, and no run gets there"
        )
        yield Violation(Rule.REACHABLE, what, reaction.service, f"let something that happens lead to {types}")


def _sayable(space: Space, reaction: Reaction) -> Iterator[Violation]:
    """The events that `reaction` is declared to say and that it says in no run."""
    service = reaction.service
    for event in (event for event in reaction.says if not space.says(reaction, event)):
        what = f"{service}, hearing {reaction.awaited}, is declared to say {event.TYPE}, and no run gets there"
        remedy = f"take {event.__name__} away from what that reaction says"
        yield Violation(Rule.REACHABLE, what, service, remedy, space.path_to_hearing(reaction))


def _cycle(choreography: Choreography, space: Space) -> Iterator[Violation]:
    reached = _reached(choreography, space)
    reported: set[frozenset[Reaction]] = set()
    for first in (r for r in choreography.reactions if r in reached):
        cycle = _cycle_from(first, reached)
        if not cycle or frozenset(cycle) in reported:
            continue
        reported.add(frozenset(cycle))
        path = " → ".join(r.awaited for r in (*cycle, first))
        what = f"{path}: the second time, {first.service} has reacted already and says nothing"
        remedy = "say another event the second time, or refuse"
        yield Violation(Rule.CYCLE, what, first.service, remedy, space.run_to(settled(space.model, *cycle)) or ())


def _cycle_from(first: Reaction, among: set[Reaction]) -> tuple[Reaction, ...]:
    """A shortest cycle from `first` to itself, each reaction hearing what the one before says; () without one."""
    paths: list[tuple[Reaction, ...]] = [(first,)]
    seen = {first}
    for cycle in paths:
        if _answers(first, cycle[-1]):
            return cycle
        for reaction in among - seen:
            if _answers(reaction, cycle[-1]):
                seen.add(reaction)
                paths.append((*cycle, reaction))
    return ()


def _answers(reaction: Reaction, other: Reaction) -> bool:
    """Whether `reaction` hears something that `other` says."""
    return not set(reaction.awaits).isdisjoint(other.says)


def _gives_up(choreography: Choreography, space: Space) -> Iterator[Violation]:
    for reaction in choreography.reactions:
        if reaction.refusal or reaction.decision or reaction.undoes or choreography.only_records(reaction):
            continue
        run = space.run_to(Goal((space.model.bit(Fact.DEAD, reaction),), space.model.decided))
        if run is not None:
            what = (
                f"{reaction.service}, hearing {reaction.awaited}, can give up before the decision, "
                "and has no refusal: no service would know"
            )
            remedy = f"give the reaction a refusal=… that {choreography.decider} hears"
            yield Violation(Rule.GIVES_UP, what, reaction.service, remedy, run)


def _taken_back(choreography: Choreography, reaction: Reaction) -> bool:
    return any(
        not set(other.undoes).isdisjoint(reaction.awaits)
        for other in choreography.heard_by(reaction.service)
        if choreography.cancelled in other.awaits
    )


def _undone(choreography: Choreography, space: Space) -> Iterator[Violation]:
    for reaction in choreography.forward:
        too_early = reaction.irreversible and _before_creation(choreography, space, reaction)
        if reaction.decision or too_early or _taken_back(choreography, reaction):
            continue
        run = space.run_to(_not_undone(choreography, space, reaction))
        if run is not None:
            yield _undone_violation(choreography, reaction, run)


def _not_undone(choreography: Choreography, space: Space, reaction: Reaction) -> Goal:
    """`reaction` may have been carried out, the instance is cancelled, and its service knows if it can."""
    bit, cancelled = space.model.bit, choreography.cancelled
    hears = choreography.reaction(reaction.service, cancelled.TYPE)
    told = (hears,) if hears else ()
    needs = (bit(Fact.CARRIED_OUT, reaction), bit(Fact.SAID, cancelled), *(bit(Fact.SETTLED, one) for one in told))
    return Goal(needs, space.model.bits(Fact.DEAD, (reaction, *told)))


def _undone_violation(choreography: Choreography, reaction: Reaction, run: Run) -> Violation:
    service, cancelled, noun = reaction.service, choreography.cancelled, choreography.noun[0]
    hears = choreography.reaction(service, cancelled.TYPE)
    done = f"what {service} does on {reaction.awaited}"
    if hears is None:
        step = choreography.step(service)
        what = f"the {noun} is cancelled, {service} does not hear {cancelled.TYPE}, and {done} is never undone"
        return Violation(
            Rule.UNDONE,
            what,
            service,
            "add " + undoing_of(choreography, service, step.undone if step else None),
            run,
        )
    what = f"{service} hears {cancelled.TYPE}, and {done} is not among what that undoes"
    remedy = f"add {class_names(reaction.awaits)} to undoes=(…) of that reaction"
    return Violation(Rule.UNDONE, what, service, remedy, run)


def _before_creation(choreography: Choreography, space: Space, reaction: Reaction) -> Run | None:
    bit = space.model.bit
    return space.run_to(Goal((bit(Fact.CARRIED_OUT, reaction),), bit(Fact.SAID, choreography.created)))


def _irreversible(choreography: Choreography, space: Space) -> Iterator[Violation]:
    for reaction in choreography.forward:
        run = _before_creation(choreography, space, reaction) if reaction.irreversible else None
        if run is None or _taken_back(choreography, reaction):
            continue
        what = (
            f"what {reaction.service} does on {reaction.awaited} cannot be undone, "
            f"and the {choreography.noun[0]} may still be refused: {choreography.created.TYPE} is not said"
        )
        undoing = undoing_of(choreography, reaction.service, None)
        remedy = f"let it hear {choreography.created.__name__}, or correct it: {undoing}"
        yield Violation(Rule.IRREVERSIBLE, what, reaction.service, remedy, run)


def _deadline(choreography: Choreography, space: Space) -> Iterator[Violation]:
    run = space.run_to(*_waiting_forever(choreography, space))
    if run is None:
        return
    decider = choreography.decider
    what = f"{decider} waits, and no deadline of its own ends the wait when the answer never comes"
    cancelled, starts = choreography.cancelled.__name__, choreography.starts.__name__
    heard = (event for r in choreography.heard_by(decider) if r.decision for event in r.awaits)
    informing = [event for event in heard if event is not choreography.cancel_asked]
    after = ", ".join(event.__name__ for event in dict.fromkeys((choreography.starts, *informing)))
    remedy = f'add Deadline("{decider}", ({cancelled},), after=({after})), and let {decider} hear {starts}'
    yield Violation(Rule.DEADLINE, what, decider, remedy, run)


def _waiting_forever(choreography: Choreography, space: Space) -> Iterator[Goal]:
    """Undecided, and no deadline that cancels runs: while the decider knows of the instance, or at the end."""
    model = space.model
    clocks = [timed for timed in choreography.timed if choreography.cancelled in timed.says]
    knows = model.bit(Fact.NOTED) | model.bit(Fact.REPORTED)
    for passed in product((True, False), repeat=len(clocks)):
        expired = tuple(model.bit(Fact.EXPIRED, clock) for clock, yes in zip(clocks, passed, strict=True) if yes)
        waiting = [clock for clock, yes in zip(clocks, passed, strict=True) if not yes]
        without = model.decided | model.bits(Fact.STARTED, waiting)
        yield Goal((knows, *expired) if model.notes_start else expired, without)
        yield Goal(expired, without | model.dead_letters, final=True)


def _ends(choreography: Choreography, space: Space) -> Iterator[Violation]:
    if not space.path_to_saying(choreography.created):
        what = f"no run ends in {choreography.created.TYPE}"
        remedy = f"let {choreography.decider} hear what its step comes after"
        yield Violation(Rule.ENDS, what, choreography.decider, remedy)
    reached = _reached(choreography, space)
    reported: set[str] = set()
    for step in choreography.steps:
        if choreography.begins(step) not in reached:
            continue  # reported once, as a reaction that no run reaches
        for what, remedy, unfinished in _unfinished(choreography, space, step):
            run = None if what in reported else space.run_to(unfinished)
            if run is not None:
                reported.add(what)
                yield Violation(Rule.ENDS, what, step.service, remedy, run)


def _unfinished(choreography: Choreography, space: Space, step: Step) -> Iterator[tuple[str, str, Goal]]:
    """How a run can end, without a dead letter, before `step` has said its last event."""
    dead, undone, noun = space.model.dead_letters, step.undone, choreography.noun[0]
    created, cancelled, done = (
        space.model.bit(Fact.SAID, event) for event in (choreography.created, choreography.cancelled, step.success)
    )
    what = f"the {noun} ends created, and {step.success.TYPE} is never said"
    remedy = f"let {choreography.decider} hear the refusal and cancel"
    yield what, remedy, Goal((created,), cancelled | done | dead, final=True)
    if undone:
        what = f"the {noun} ends cancelled, and {undone.TYPE} is never said"
        remedy = f"let {step.service} always answer {choreography.cancelled.TYPE}"
        yield what, remedy, Goal((cancelled,), space.model.bit(Fact.SAID, undone) | dead, final=True)
