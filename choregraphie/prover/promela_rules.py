"""The rules of the prover as formulas of linear temporal logic over a Promela model. Pure.

A rule is a condition that holds always (`[] p`), or at the end of every run. Every run ends, and then nothing
changes, so `[] <> p` says that p holds at the end.
"""

from collections.abc import Callable, Iterator

from choregraphie.prover.promela_names import Names, all_of, any_of


def formulas(names: Names) -> dict[str, str]:
    """The formula of each rule, by the rule's name with an underscore for each hyphen.

    That of `reachable` holds always: its search goes everywhere, so SPIN then lists what no run reached.
    """
    always: dict[str, tuple[Callable[[Names], Iterator[str]], ...]] = {
        "decides": (_one_decision, _refusals_cancel),
        "sender": (_sender,),
        "heard": (_heard,),
        "answers": (_answered, _not_half_undone),
        "reachable": (),
        "cycle": (_cycle,),
        "gives_up": (_gives_up,),
        "irreversible": (_irreversible,),
        "deadline": (_deadline,),
    }
    at_end = {"answers": _waits_for_nobody, "undone": _undone, "ends": _ends}
    found = {
        rule: [f"[] {all_of(part for make in parts for part in make(names))}"] for rule, parts in always.items()
    }
    for rule, make in at_end.items():
        found.setdefault(rule, []).append(f"[] <> {all_of(make(names))}")
    return {rule: " && ".join(f"({part})" for part in parts) for rule, parts in found.items()}


def _one_decision(names: Names) -> Iterator[str]:
    """One cancellation; one creation before it, with all that the decider waits for heard, and no refusal."""
    yield "!wrong_decision"


def _sender(names: Names) -> Iterator[str]:
    """A service says only its own events."""
    yield "!foreign_event"


def _cycle(names: Names) -> Iterator[str]:
    """No event that is heard is said twice: the second time its reaction has been carried out."""
    yield "!said_again"


def _refusals_cancel(names: Names) -> Iterator[str]:
    """A refusal that the decider has heard of an order that it knows has cancelled the order."""
    choreography = names.choreography
    for reaction in (r for r in names.reactions if r.service == choreography.decider):
        if choreography.refusals.intersection(reaction.awaits):
            yield _implies(f"(noted && {names.heard(reaction)})", names.said(choreography.cancelled))


def _heard(names: Names) -> Iterator[str]:
    """Nobody says what nobody hears, unless it ends a branch; a refusal never does."""
    choreography = names.choreography
    for event in names.events:
        final = event in choreography.final and event not in choreography.refusals
        if not final and event not in choreography.heard:
            yield f"!{names.said(event)}"


def _answered(names: Names) -> Iterator[str]:
    """Who has undone something says so."""
    for reaction in names.reactions:
        if reaction.undoing or reaction.undoes:
            yield _implies(names.heard(reaction), any_of(map(names.said, reaction.says)))


def _not_half_undone(names: Names) -> Iterator[str]:
    """Once every answer that is waited for has come, nothing that can be undone is left."""
    for reaction in names.reactions:
        if not reaction.irreversible and names.is_taken_back(reaction):
            yield _implies(_compensated(names), f"!{names.done(reaction)}")


def _waits_for_nobody(names: Names) -> Iterator[str]:
    """Each service answers a cancellation, whatever becomes of the others, unless a person must act on it."""
    choreography = names.choreography
    for step in choreography.undoings:
        if step.undone:
            ended = any_of([names.said(step.undone), _person(names, step.service)])
            yield _implies(names.said(choreography.cancelled), ended)


def _gives_up(names: Names) -> Iterator[str]:
    """A dead letter before the decision is one of the decider's, or of an undoing."""
    for reaction in names.reactions:
        if not (
            reaction.refusal or reaction.decision or reaction.undoes or names.choreography.only_records(reaction)
        ):
            yield _implies(names.dead(reaction), "decided")


def _undone(names: Names) -> Iterator[str]:
    """What may have been done for a cancelled instance is undone by its service, or a person must act on it."""
    for reaction in names.choreography.forward:
        if not reaction.decision:
            left = all_of([names.said(names.choreography.cancelled), names.done(reaction)])
            yield _implies(left, _person(names, reaction.service))


def _irreversible(names: Names) -> Iterator[str]:
    """What cannot be undone, and what no cancellation corrects, is done after the creation."""
    for reaction in names.choreography.forward:
        if reaction.irreversible and not names.is_taken_back(reaction):
            yield _implies(names.done(reaction), names.said(names.choreography.created))


def _deadline(names: Names) -> Iterator[str]:
    """While an instance that the decider knows is undecided, a deadline runs: perhaps nothing else will come."""
    choreography = names.choreography
    clients = {choreography.starts, choreography.cancel_asked}
    reports = [
        names.heard(r)
        for r in names.reactions
        if names.choreography.decides(r) and not clients.issuperset(r.awaits)
    ]
    cancelling = [names.runs(clock) for clock in names.deadlines if choreography.cancelled in clock.says]
    yield _implies(any_of(["noted", *reports]), any_of(["decided", *cancelling]))


def _ends(names: Names) -> Iterator[str]:
    """Created with every step done, or cancelled and answered, or with a person."""
    choreography = names.choreography
    created, cancelled = names.said(choreography.created), names.said(choreography.cancelled)
    completed = all_of([created, f"!{cancelled}", *(names.said(step.success) for step in choreography.steps)])
    yield any_of([completed, _compensated(names), _person(names)])


def _compensated(names: Names) -> str:
    answers = (names.said(step.undone) for step in names.choreography.undoings if step.undone)
    return all_of([names.said(names.choreography.cancelled), *answers])


def _person(names: Names, service: str | None = None) -> str:
    """A dead letter of `service`, or of any."""
    return any_of(names.dead(r) for r in names.reactions if service in (None, r.service))


def _implies(condition: str, consequence: str) -> str:
    return f"({condition} -> {consequence})"
