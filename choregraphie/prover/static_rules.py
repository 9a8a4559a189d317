"""The rules that are checked on the declaration alone. Pure."""

from collections import Counter
from collections.abc import Iterator

from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import Space
from choregraphie.saga.choreography import Choreography, EventClass, Reaction, Step


def violations(choreography: Choreography, space: Space) -> Iterator[Violation]:
    yield from _steps(choreography, space)
    yield from _decides(choreography, space)
    yield from sender(choreography, space)
    yield from heard(choreography, space)
    yield from said(choreography)
    yield from _answers(choreography, space)


def _steps(choreography: Choreography, space: Space) -> Iterator[Violation]:
    for service in dict.fromkeys(r.service for r in choreography.reactions):
        if choreography.step(service) is None:
            what = f"{service} reacts, and has no steps; one names the service"
            first = next(choreography.heard_by(service))
            remedy = f'add a Step("{service}", {class_names(first.awaits)}, …) to the steps'
            yield Violation(Rule.STEPS, what, service, remedy, space.path_to_hearing(first))
    for name, times in Counter(step.name for step in choreography.steps).items():
        if times > 1:
            service = next(step.service for step in choreography.steps if step.name == name)
            what = f"{times} steps are named {name}: the name tells the steps of a service apart"
            yield Violation(Rule.STEPS, what, service, 'give each step its own name="…"')
    yield from _heard_once(choreography, space)
    for step in choreography.steps:
        for what, remedy, shown_at in _step_problems(choreography, step):
            run = space.path_to_hearing(shown_at) if shown_at else ()
            yield Violation(Rule.STEPS, what, step.service, remedy, run)


def _heard_once(choreography: Choreography, space: Space) -> Iterator[Violation]:
    heard = Counter((r.service, event) for r in choreography.reactions for event in r.awaits)
    for (service, event), times in heard.items():
        reaction = choreography.reaction(service, event.TYPE)
        if reaction is not None and times > 1:
            what = f"{service} is declared {times} times to hear {event.TYPE}: a service reacts once"
            run = space.path_to_hearing(reaction)
            yield Violation(Rule.STEPS, what, service, "make one reaction of them", run)


def _step_problems(choreography: Choreography, step: Step) -> Iterator[tuple[str, str, Reaction | None]]:
    """The problems of a step: each with its remedy, and the reaction that shows it."""
    reaction = choreography.begins(step)
    if reaction is None:
        together = ", which it does not hear together" if len(step.awaits) > 1 else ", which it does not hear"
        yield f"{step.service}'s step comes after {step.awaited}{together}", _missing_reaction(step), None
        return
    for role, event in (("success", step.success), ("refusal", step.refusal)):
        if event is not None and event not in reaction.says:
            what = f"{step.service} hears {step.awaited} and never says its step's {role}, {event.TYPE}"
            yield what, f"add {event.__name__} to what that reaction says", reaction
    if reaction.refusal is not None and step.refusal is not reaction.refusal:
        what = f"{step.service} may answer {step.awaited} with {reaction.refusal.TYPE}, and its step names another"
        what += " refusal" if step.refusal else " end: no refusal"
        yield what, f"give the step refusal={reaction.refusal.__name__}", reaction
    yield from _undone_problems(choreography, step, reaction)


def _undone_problems(
    choreography: Choreography, step: Step, reaction: Reaction
) -> Iterator[tuple[str, str, Reaction | None]]:
    """A service undoes all of its steps in one reaction; the steps that this one takes back name its answer."""
    undoing = next((r for r in choreography.heard_by(step.service) if r.undoing), None)
    several = sum(other.service == step.service for other in choreography.steps) > 1
    left_alone = several and step.undone is None and undoing and set(undoing.undoes).isdisjoint(step.awaits)
    if undoing and not left_alone and step.undone not in undoing.says:
        wanted = undoing.says[0].__name__ if undoing.says else "…"
        what = f"{step.service} has an undoing whose answer its step does not name: no service would wait for it"
        yield what, f"give the step undone={wanted}", undoing
    if step.undone and not undoing:
        what = f"{step.service}'s step is undone by {step.undone.TYPE}, and none of its reactions is that undoing"
        yield what, undoing_of(choreography, step.service, step.undone), reaction


def _missing_reaction(step: Step) -> str:
    return f'add Reaction("{step.service}", {class_names(step.awaits)}, ({step.success.__name__}, …), …)'


def class_names(events: tuple[EventClass, ...]) -> str:
    """The classes of a reaction's events, as they are written in a declaration."""
    names = ", ".join(event.__name__ for event in events)
    return names if len(events) == 1 else f"({names})"


def undoing_of(choreography: Choreography, service: str, answer: EventClass | None) -> str:
    """The text of the undoing that `service` should declare; `answer` is what it says."""
    cancelled = choreography.cancelled
    heard = [event for r in choreography.heard_by(service) for event in r.awaits]
    done = [event.__name__ for event in heard if event is not cancelled]
    says = answer.__name__ if answer else "…"
    undoes = "".join(f"{name}, " for name in done).rstrip()
    return f'Reaction("{service}", {cancelled.__name__}, ({says},), undoing=True, undoes=({undoes}))'


def _decides(choreography: Choreography, space: Space) -> Iterator[Violation]:
    outcomes = {choreography.created, choreography.cancelled}
    for reaction in choreography.reactions:
        decided = sorted(event.TYPE for event in outcomes & set(reaction.says))
        if reaction.service != choreography.decider and (decided or reaction.decision):
            said = f"says {' and '.join(decided)}" if decided else "is declared a decision"
            what = f"{reaction.service}, hearing {reaction.awaited}, {said}: {choreography.decider} decides"
            remedy = f"say a refusal that {choreography.decider} hears, and let it decide"
            yield Violation(Rule.DECIDES, what, reaction.service, remedy, space.path_to_hearing(reaction))
        elif decided and not reaction.decision:
            what = f"{reaction.service}, hearing {reaction.awaited}, decides and is not declared a decision"
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
            what = f"the clock of {timed.service} says {created.TYPE}: a deadline can only cancel"
            yield Violation(Rule.DECIDES, what, timed.service, f"let it say {cancelled.__name__}")


def _cancels_on_refusals(choreography: Choreography, space: Space) -> Iterator[Violation]:
    refusals, cancelled = choreography.refusals, choreography.cancelled
    for reaction in choreography.heard_by(choreography.decider):
        run = space.path_to_hearing(reaction)
        for event in refusals.intersection(reaction.awaits):
            if cancelled not in reaction.says:
                what = f"{reaction.service} hears {event.TYPE}, a refusal, and never cancels for it"
                remedy = f"let it say {cancelled.__name__}, as a decision"
                yield Violation(Rule.DECIDES, what, reaction.service, remedy, run)
            if len(reaction.awaits) > 1:
                what = (
                    f"{reaction.service} hears {reaction.awaited} together: {event.TYPE}, a refusal, has to wait"
                )
                remedy = f"let it hear {event.__name__} alone, and cancel"
                yield Violation(Rule.DECIDES, what, reaction.service, remedy, run)


def sender(choreography: Choreography, space: Space) -> Iterator[Violation]:
    """What a service says that is another's to say."""
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


def heard(choreography: Choreography, space: Space) -> Iterator[Violation]:
    """What is said and nobody hears."""
    all_heard, refusals = choreography.heard, choreography.refusals
    asked = choreography.starts, choreography.cancel_asked
    for event in dict.fromkeys((*asked, *choreography.events)):
        final = event in choreography.final and event not in refusals
        if event in all_heard or final:
            continue
        what = f"{event.TYPE} is said by {event.SAID_BY}, and nobody hears it"
        remedy = f"let a service hear it, or add {event.__name__} to final when it ends its branch"
        if event in refusals or event in asked:
            remedy = f"let {choreography.decider} hear it, and decide"
        yield Violation(Rule.HEARD, what, event.SAID_BY, remedy, space.path_to_saying(event))


def said(choreography: Choreography) -> Iterator[Violation]:
    """What is heard and nobody says."""
    all_said = choreography.said
    for reaction in choreography.reactions:
        for event in (event for event in reaction.awaits if event not in all_said):
            what = f"{reaction.service} hears {event.TYPE}, and nobody says it"
            remedy = f"let a reaction of {event.SAID_BY} say it, or remove this reaction"
            yield Violation(Rule.SAID, what, reaction.service, remedy)
    for event in choreography.final:
        if event not in all_said:
            what = f"{event.TYPE} is declared final, and nobody says it"
            yield Violation(Rule.SAID, what, event.SAID_BY, "let its service say it, or take it out of final")


def _answers(choreography: Choreography, space: Space) -> Iterator[Violation]:
    for reaction in choreography.reactions:
        if not (reaction.undoing or reaction.undoes):
            continue
        for what, remedy in _undoing_problems(choreography, reaction):
            said = f"{reaction.service}, hearing {reaction.awaited}, {what}"
            yield Violation(Rule.ANSWERS, said, reaction.service, remedy, space.path_to_hearing(reaction))


def _undoing_problems(choreography: Choreography, reaction: Reaction) -> Iterator[tuple[str, str]]:
    cancelled = choreography.cancelled
    if cancelled not in reaction.awaits:
        what = f"undoes without having heard {cancelled.TYPE}, which calls for it"
        yield what, f"let it hear {cancelled.__name__}"
    elif len(reaction.awaits) > 1:
        yield (
            f"undoes only once it has heard more than {cancelled.TYPE}",
            f"let it hear {cancelled.__name__} alone",
        )
    if len(reaction.says) != 1:
        many = "may give several answers" if reaction.says else "undoes and says nothing"
        yield f"{many}: the events do not show that it has undone", "let it say exactly one event"
    if reaction.refusal:
        yield "may refuse to undo", "remove its refusal: an undoing that gives up needs a person"
    if not reaction.undoing and (back := list(_taken_back(choreography, reaction))):
        what = f"takes back what was done on {', '.join(back)}, and no service would wait for its answer"
        yield what, "declare it undoing=True, and name its answer as undone=… of its step"
    own = {event for r in choreography.heard_by(reaction.service) for event in r.awaits} - {*reaction.awaits}
    for event in reaction.undoes:
        if event not in own:
            yield f"undoes {event.TYPE}, which {reaction.service} does not hear", "name events that it hears"


def _taken_back(choreography: Choreography, undoing: Reaction) -> Iterator[str]:
    """The events whose effects `undoing` takes back; an irreversible effect is only corrected."""
    for reaction in choreography.heard_by(undoing.service):
        if not (reaction.irreversible or set(undoing.undoes).isdisjoint(reaction.awaits)):
            yield reaction.awaited
