"""The rules that are checked on the declaration alone. Pure."""

from collections import Counter
from collections.abc import Iterator

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step


def violations(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    yield from _steps(choreography, space)
    yield from _decides(choreography, space)
    yield from _sender(choreography, space)
    yield from _heard(choreography, space)
    yield from _said(choreography)
    yield from _answers(choreography, space)


def _steps(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    names = [step.service for step in choreography.steps]
    for service in dict.fromkeys(r.service for r in choreography.reactions):
        if names.count(service) != 1:
            what = f"{service} reacts, and has {names.count(service) or 'no'} steps; one names the service"
            first = next(choreography.heard_by(service))
            remedy = f'add a Step("{service}", {first.hears.__name__}, …) to the steps'
            yield Violation(Rule.STEPS, what, service, remedy, space.path_to_hearing(first))
    for (service, hears), times in Counter((r.service, r.hears) for r in choreography.reactions).items():
        reaction = choreography.reaction(service, hears.TYPE)
        if reaction is not None and times > 1:
            what = f"{service} is declared {times} times to hear {hears.TYPE}: a service reacts once"
            yield Violation(
                Rule.STEPS, what, service, "make one reaction of them", space.path_to_hearing(reaction)
            )
    for step in choreography.steps:
        for what, remedy, shown_at in _step_problems(choreography, step):
            run = space.path_to_hearing(shown_at) if shown_at else ()
            yield Violation(Rule.STEPS, what, step.service, remedy, run)


def _step_problems(choreography: Choreography, step: Step) -> Iterator[tuple[str, str, Reaction | None]]:
    """The problems of a step: each with its remedy, and the reaction that shows it."""
    reaction = choreography.reaction(step.service, step.after.TYPE)
    if reaction is None:
        yield (
            f"{step.service}'s step comes after {step.after.TYPE}, which it does not hear",
            _missing_reaction(step),
            None,
        )
        return
    for role, event in (("success", step.success), ("refusal", step.refusal)):
        if event is not None and event not in reaction.says:
            what = f"{step.service} hears {step.after.TYPE} and never says its step's {role}, {event.TYPE}"
            yield what, f"add {event.__name__} to what that reaction says", reaction
    if reaction.refusal is not None and step.refusal is not reaction.refusal:
        what = (
            f"{step.service} may answer {step.after.TYPE} with {reaction.refusal.TYPE}, and its step names another"
        )
        what += " refusal" if step.refusal else " end: no refusal"
        yield what, f"give the step refusal={reaction.refusal.__name__}", reaction
    undoing = next((r for r in choreography.heard_by(step.service) if r.undoing), None)
    if undoing and step.undone not in undoing.says:
        wanted = undoing.says[0].__name__ if undoing.says else "…"
        what = f"{step.service} has an undoing whose answer its step does not name: no service would wait for it"
        yield what, f"give the step undone={wanted}", undoing
    if step.undone and not undoing:
        what = f"{step.service}'s step is undone by {step.undone.TYPE}, and none of its reactions is that undoing"
        yield what, undoing_of(choreography, step.service, step.undone), reaction


def _missing_reaction(step: Step) -> str:
    return f'add Reaction("{step.service}", {step.after.__name__}, ({step.success.__name__}, …), …)'


def undoing_of(choreography: Choreography, service: str, answer: EventClass | None) -> str:
    """The text of the undoing that `service` should declare; `answer` is what it says."""
    cancelled = choreography.cancelled
    done = [r.hears.__name__ for r in choreography.heard_by(service) if r.hears is not cancelled]
    says = answer.__name__ if answer else "…"
    undoes = "".join(f"{name}, " for name in done).rstrip()
    return f'Reaction("{service}", {cancelled.__name__}, ({says},), undoing=True, undoes=({undoes}))'


def _decides(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    outcomes = {choreography.created, choreography.cancelled}
    for reaction in choreography.reactions:
        decided = sorted(event.TYPE for event in outcomes & set(reaction.says))
        if reaction.service != choreography.decider and (decided or reaction.decision):
            said = f"says {' and '.join(decided)}" if decided else "is declared a decision"
            what = f"{reaction.service}, hearing {reaction.hears.TYPE}, {said}: {choreography.decider} decides"
            remedy = f"say a refusal that {choreography.decider} hears, and let it decide"
            yield Violation(Rule.DECIDES, what, reaction.service, remedy, space.path_to_hearing(reaction))
        elif decided and not reaction.decision:
            what = f"{reaction.service}, hearing {reaction.hears.TYPE}, decides and is not declared a decision"
            yield Violation(
                Rule.DECIDES, what, reaction.service, "add decision=True", space.path_to_hearing(reaction)
            )
    yield from _decides_by_clock(choreography)
    yield from _cancels_on_refusals(choreography, space)
    for outcome in (choreography.created, choreography.cancelled):
        if not any(outcome in r.says for r in choreography.heard_by(choreography.decider)):
            what = f"{choreography.decider}, the decider, never says {outcome.TYPE}"
            remedy = f"add {outcome.__name__} to what one of its decisions says"
            yield Violation(Rule.DECIDES, what, choreography.decider, remedy)


def _decides_by_clock(choreography: Choreography) -> Iterator[Violation]:
    created, cancelled = choreography.created, choreography.cancelled
    for timed in choreography.timed:
        if timed.service != choreography.decider and {created, cancelled} & set(timed.says):
            what = f"the clock of {timed.service} decides: only the clock of {choreography.decider} may decide"
            yield Violation(Rule.DECIDES, what, timed.service, f"let {choreography.decider}'s clock say it")
        elif created in timed.says:
            what = f"the clock of {timed.service} says {created.TYPE}: a deadline can only cancel an order"
            yield Violation(Rule.DECIDES, what, timed.service, f"let it say {cancelled.__name__}")


def _cancels_on_refusals(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    refusals, cancelled = choreography.refusals, choreography.cancelled
    for reaction in choreography.heard_by(choreography.decider):
        if reaction.hears in refusals and cancelled not in reaction.says:
            what = f"{reaction.service} hears {reaction.hears.TYPE}, a refusal, and never cancels for it"
            remedy = f"let it say {cancelled.__name__}, as a decision"
            yield Violation(Rule.DECIDES, what, reaction.service, remedy, space.path_to_hearing(reaction))


def _sender(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    outcomes = {choreography.created, choreography.cancelled}
    for reaction in choreography.reactions:
        for event in reaction.says:
            if reaction.service != event.SAID_BY and event not in outcomes:
                what = f"{reaction.service} says {event.TYPE}, which is {event.SAID_BY}'s to say"
                remedy = f"say an event of {reaction.service}'s own; its exchange would refuse this one"
                yield Violation(Rule.SENDER, what, reaction.service, remedy, space.path_to_hearing(reaction))
    for timed in choreography.timed:
        for event in set(timed.says) - outcomes:
            if timed.service != event.SAID_BY:
                what = f"the clock of {timed.service} says {event.TYPE}, which is {event.SAID_BY}'s to say"
                yield Violation(Rule.SENDER, what, timed.service, f"say an event of {timed.service}'s own")


def _heard(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    heard, refusals = choreography.heard, choreography.refusals
    asked = choreography.starts, choreography.cancel_asked
    for event in dict.fromkeys((*asked, *choreography.events)):
        final = event in choreography.final and event not in refusals
        if event in heard or final:
            continue
        what = f"{event.TYPE} is said by {event.SAID_BY}, and nobody hears it"
        remedy = f"let a service hear it, or add {event.__name__} to final when it ends its branch"
        if event in refusals or event in asked:
            remedy = f"let {choreography.decider} hear it, and decide"
        yield Violation(Rule.HEARD, what, event.SAID_BY, remedy, space.path_to_saying(event))


def _said(choreography: Choreography) -> Iterator[Violation]:
    said = choreography.said
    for reaction in choreography.reactions:
        if reaction.hears not in said:
            what = f"{reaction.service} hears {reaction.hears.TYPE}, and nobody says it"
            remedy = f"let a reaction of {reaction.hears.SAID_BY} say it, or remove this reaction"
            yield Violation(Rule.SAID, what, reaction.service, remedy)
    for event in choreography.final:
        if event not in said:
            what = f"{event.TYPE} is declared final, and nobody says it"
            yield Violation(Rule.SAID, what, event.SAID_BY, "let its service say it, or take it out of final")


def _answers(choreography: Choreography, space: StateSpace) -> Iterator[Violation]:
    for reaction in choreography.reactions:
        if not (reaction.undoing or reaction.undoes):
            continue
        for what, remedy in _undoing_problems(choreography, reaction):
            said = f"{reaction.service}, hearing {reaction.hears.TYPE}, {what}"
            yield Violation(Rule.ANSWERS, said, reaction.service, remedy, space.path_to_hearing(reaction))


def _undoing_problems(choreography: Choreography, reaction: Reaction) -> Iterator[tuple[str, str]]:
    cancelled = choreography.cancelled
    if reaction.hears is not cancelled:
        yield (
            f"undoes without having heard {cancelled.TYPE}, which calls for it",
            (f"let it hear {cancelled.__name__}"),
        )
    if len(reaction.says) != 1:
        many = "may give several answers" if reaction.says else "undoes and says nothing"
        yield f"{many}: the events do not show that it has undone", "let it say exactly one event"
    if reaction.refusal:
        yield "may refuse to undo", "remove its refusal: an undoing that gives up needs a person"
    if not reaction.undoing and (back := list(_taken_back(choreography, reaction))):
        what = f"takes back what was done on {', '.join(back)}, and no service would wait for its answer"
        yield what, "declare it undoing=True, and name its answer as undone=… of its step"
    own = {r.hears for r in choreography.heard_by(reaction.service)} - {reaction.hears}
    for event in reaction.undoes:
        if event not in own:
            yield f"undoes {event.TYPE}, which {reaction.service} does not hear", "name events that it hears"


def _taken_back(choreography: Choreography, undoing: Reaction) -> Iterator[str]:
    """The events whose effects `undoing` takes back; an irreversible effect is only corrected."""
    for reaction in choreography.heard_by(undoing.service):
        if reaction.hears in undoing.undoes and not reaction.irreversible:
            yield reaction.hears.TYPE
