"""The steps of an orchestrated saga as text, as they are declared or were derived. Pure."""

from collections.abc import Iterator

from choregraphie.orchestration.declaration import Orchestration, Step
from choregraphie.saga.choreography import EventClass
from choregraphie.saga.envelope import Event


def steps_text(saga: Orchestration) -> str:
    """A block for each step in their order; steps of one number run in parallel."""
    wide = max(len(step.name) for step in saga.all_steps)
    lines = [f"saga {saga.name}: {saga.service} leads {len(saga.all_steps)} steps from {saga.starts.TYPE}"]
    for number, group in enumerate(saga.groups, start=1):
        for step in group:
            first, *others = _about(step)
            lines.append(f"{number:>3}  {step.name:<{wide}}  {first}")
            lines += [f"{'':{wide + 7}}{line}" for line in others]
    beside = (("once created", saga.on_created), ("once cancelled", saga.on_cancelled))
    for when, notices in beside:
        for notice in notices:
            answers = f" → {_named(notice.says)}" if notice.says else ""
            lines.append(f"     {when}: {_command(notice.command)}{answers}, beside the steps")
    return "\n".join(lines)


def _about(step: Step) -> Iterator[str]:
    refuses = f", or refuses with {step.refusal.TYPE}" if step.refusal else ""
    if step.own:
        yield f"{step.success.TYPE}, said by the orchestrator itself"
    else:
        yield f"{_command(step.command)} → {step.success.TYPE}{refuses}"
    if step.pivot:
        yield "pivot: it creates the instance, and what follows it cannot refuse"
    if step.undoing is not None and step.undone is not None:
        answer = "" if step.undoing is step.undone else f" → {step.undone.TYPE}"
        yield f"undone by {_command(step.undoing)}{answer}"
    if limits := ", ".join(_limits(step)):
        yield limits


def _limits(step: Step) -> Iterator[str]:
    if step.timeout is not None:
        yield f"timeout {step.timeout:g} s"
    if step.tries is not None:
        yield f"{step.tries} tries" + ("" if step.delay is None else f", {step.delay:g} s apart")


def _command(command: EventClass) -> str:
    kinds = (field.annotation for field in command.model_fields.values())
    carried = tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Event))
    return f"{command.TYPE} (carries {_named(carried)})" if carried else command.TYPE


def _named(events: tuple[EventClass, ...]) -> str:
    return ", ".join(event.TYPE for event in events)
