"""What an orchestrated saga must declare. Each problem is one sentence with its place and its remedy. Pure."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from choregraphie.saga.envelope import Event

if TYPE_CHECKING:
    from choregraphie.orchestration.declaration import Orchestration, Step


def problems(saga: Orchestration) -> Iterator[str]:
    """Everything that keeps `saga` from being sound, the gravest first."""
    if not saga.steps:
        yield "it has no step; give steps=(Step(…), …)"
        return
    yield from _names(saga)
    pivots = [step for step in saga.all_steps if step.pivot]
    if len(pivots) != 1:
        named = ", ".join(step.name for step in pivots) or "none"
        yield f"exactly one step creates the instance, and {named} is declared so; give that step pivot=True"
        return
    if (pivots[0],) not in saga.groups:
        yield f"step {pivots[0].name}: the pivot runs in parallel with others; take it out of the tuple"
        return
    for place, group in enumerate(saga.groups):
        for step in group:
            yield from _step(step)
            yield from _pivot(step) if step.pivot else _compensable(saga, place, step)
    yield from _senders(saga)
    yield from _fields(saga)
    yield from _fields_of_notices(saga)


def _names(saga: Orchestration) -> Iterator[str]:
    for name, times in Counter(step.name for step in saga.all_steps).items():
        if times > 1:
            yield f"{times} steps are named {name}; give each step a name of its own"
    answers = Counter(event.TYPE for step in saga.all_steps for event in step.answers)
    for type_, times in answers.items():
        if times > 1:
            yield f"{type_} answers {times} steps; let each step have answers of its own"
    commands = Counter(command.TYPE for command in saga.commands())
    for type_, times in commands.items():
        if times > 1:
            yield f"the command {type_} is declared {times} times; a service carries a command out once"


def _step(step: Step) -> Iterator[str]:
    if (step.undoing is None) != (step.undone is None):
        has, lacks = ("undone", "undoing") if step.undoing is None else ("undoing", "undone")
        yield f"step {step.name} has {has}= and no {lacks}=; give the command that undoes it and its answer"
    if step.timeout is not None and step.timeout <= 0:
        yield f"step {step.name}: a timeout of {step.timeout} s has passed before the answer; give it seconds"
    if step.tries is not None and step.tries < 1:
        yield f"step {step.name}: {step.tries} tries carry nothing out; give tries=1 or more"
    yield from _delay(step)
    if step.own and not step.pivot:
        yield f"step {step.name}: the orchestrator itself settles the pivot alone; give a command with a SAID_TO"


def _delay(step: Step) -> Iterator[str]:
    if step.delay is None:
        return
    if step.tries is None:
        yield f"step {step.name} has delay={step.delay} and no tries=; give tries= too"
    elif step.timeout is not None and (last := step.delay * (step.tries - 1)) >= step.timeout:
        what = f"its last try may begin {last} s after the first, and its timeout is {step.timeout} s"
        yield f"step {step.name}: {what}; give fewer tries, a shorter delay or a longer timeout"


def _pivot(step: Step) -> Iterator[str]:
    if step.undoing is None or step.undone is None:
        yield f"step {step.name}: the pivot has no undoing, which cancels the instance; give undoing= and undone="
    if step.refusal not in {None, step.undone}:
        yield f"step {step.name}: the pivot refuses by cancelling; give refusal={_name(step.undone)}"
    if step.own and step.undoing is not step.undone:
        yield f"step {step.name}: the orchestrator cancels by saying so; give undoing={_name(step.undone)}"


def _compensable(saga: Orchestration, place: int, step: Step) -> Iterator[str]:
    if place < saga.place_of_pivot:
        if step.undoing is None:
            why = "a timeout needs an answer" if step.timeout is not None else "a later step may refuse"
            remedy = "give undoing= and undone=, or put it after the pivot"
            yield f"step {step.name} has no undoing, and {why}; {remedy}"
        return
    if step.refusal is not None:
        yield (
            f"step {step.name} comes after the pivot and may refuse with {step.refusal.TYPE}: what follows it is"
            " retried until it succeeds; take refusal= away, or put the step before the pivot"
        )
    if step.undoing is not None:
        yield f"step {step.name} comes after the pivot and has an undoing; put it before the pivot"


def _senders(saga: Orchestration) -> Iterator[str]:
    own = {word for step in saga.all_steps if step.own for word in (step.command, step.undoing)}
    for command in saga.commands():
        if saga.service != command.SAID_BY:
            yield f"{command.TYPE} is said by {command.SAID_BY}; give it SAID_BY = {saga.service!r}"
        elif not command.SAID_TO and command not in own:
            yield f"the command {command.TYPE} names no service; give {command.__name__} a SAID_TO"
    for step in saga.all_steps:
        for event in (event for event in step.answers if step.service != event.SAID_BY):
            what = f"{step.service}, and {event.TYPE} is said by {event.SAID_BY}"
            yield f"step {step.name} is for {what}; name an answer of its own"
    for event in (saga.starts, saga.cancel_asked, *saga.commands(), *saga.step_of):
        if (saga.name, saga.starts.KEY) != (event.SAGA, event.KEY):
            yield f"{event.__name__} is of the saga {event.SAGA} with the key {event.KEY}; derive it from its own"


def _fields(saga: Orchestration) -> Iterator[str]:
    """The fields of commands that nothing before them gives.

    An undoing may be said before its step has answered, and the cancellation at any time.
    """
    before = [saga.starts]
    for group in saga.groups:
        for step in group:
            yield from _missing(saga, step.name, step.command, before)
            if step.undoing is not None:
                known = [saga.starts] if step.pivot else [*before, saga.cancelled]
                yield from _missing(saga, step.name, step.undoing, known, undoing=True)
        before += [step.success for step in group]


def _fields_of_notices(saga: Orchestration) -> Iterator[str]:
    created = [step.success for group in saga.groups[: saga.place_of_pivot + 1] for step in group]
    for notice in saga.on_created:
        yield from _missing(saga, notice.command.TYPE, notice.command, [saga.starts, *created])
    for notice in saga.on_cancelled:
        before = [saga.starts, saga.cancelled]
        yield from _missing(saga, notice.command.TYPE, notice.command, before, undoing=True)


def _missing(
    saga: Orchestration, place: str, command: Any, before: list[Any], *, undoing: bool = False
) -> Iterator[str]:
    known = {name for event in before for name in event.model_fields} | saga.facts.keys()
    known |= {command.REASON} if undoing else set()
    for name, declared in command.model_fields.items():
        kind = declared.annotation
        if inspect.isclass(kind) and issubclass(kind, Event):
            missing = kind not in before
        else:
            missing = declared.is_required() and name not in known
        if missing:
            yield f"step {place}: {command.TYPE} needs {name}, which no event before it gives; add it to one"


def _name(event: Any) -> str:
    return event.__name__ if event is not None else "…"
