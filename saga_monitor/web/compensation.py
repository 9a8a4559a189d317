"""The compensation of one instance in words: what is undone, in which order, and what is awaited."""

from collections.abc import Sequence

from choregraphie.saga.choreography import Choreography
from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.saga_state import State, StepProgress, StepState
from saga_monitor.projection.queries import SagaSummary
from saga_monitor.web.narrative import TimelineEntry, undoings_of


def compensation(instance: SagaSummary, choreography: Choreography, entries: Sequence[TimelineEntry]) -> list[str]:
    """The state of each undoing, one sentence per step; empty when the instance was not cancelled.

    Those of an orchestrator in the order in which it asks for them: that of `entries`, then the last step first.
    """
    if instance.state not in {State.COMPENSATING, State.COMPENSATED}:
        return []
    steps = undoings_of(instance, choreography)
    if not choreography.orchestrator:
        waiting = "has not answered the cancellation yet"
        return [_undoing(step, waiting if step.state is StepState.UNDOING else "") for step in steps]
    said = {entry.type for entry in entries if entry.kind == "event"}
    asked = [choreography.asked_back.get(entry.type) for entry in entries if entry.kind == "event"]
    answers = {step.name: step.undone.TYPE for step in choreography.undoings if step.undone}
    due = [step for step in reversed(steps) if step.undoing_ms is not None or step.state is not StepState.SKIPPED]
    due.sort(key=lambda step: asked.index(answers[step.step]) if answers[step.step] in asked else len(asked))
    waits = {step.step: "" if answers[step.step] in said else _waits(answers[step.step] in asked) for step in due}
    return [_undoing(step, waits[step.step]) for step in due]


def _waits(asked: bool) -> str:
    return "was asked to undo, and has not answered yet" if asked else "is undone after that"


def _undoing(step: StepProgress, waits: str) -> str:
    """`waits`: what its answer waits for; empty when it has answered."""
    after = f" after {format_duration(step.undoing_ms)}" if step.undoing_ms is not None else ""
    if waits:
        return f"{step.step}: {waits}"
    if step.state is StepState.UNDONE:
        return f"{step.step}: undone{after}"
    return f"{step.step}: had nothing to undo, and answered so{after}"
