"""The state machine of one orchestrated instance: what it becomes on an input, and which commands it says. Pure.

No data here: inputs and commands are event classes. An instance only grows: a step that was asked stays asked, an
answer stays an answer. So any answer may come at any time, twice, or after its timeout.

Once the instance fails, every step that was asked is undone, whatever it answered, and the pivot first. A refusal
may stand for exhausted tries, whose external call may have succeeded; and a step whose answer is missing may still
be carried out, unless its undoing leaves a tombstone before.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from choregraphie.errors import ChoregraphieError
from choregraphie.orchestration.declaration import Notice, Orchestration, Step
from choregraphie.saga.choreography import EventClass

Names = tuple[str, ...]
Commands = tuple[EventClass, ...]


class State(StrEnum):
    """The state of an orchestrated instance."""

    NEW = "NEW"  # its start event was not heard yet
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"  # every step has succeeded
    FAILED = "FAILED"  # a step has refused or its time is over; its cancellation was asked for
    COMPENSATING = "COMPENSATING"  # cancelled, and some undoing has not answered
    COMPENSATED = "COMPENSATED"  # cancelled, and every undoing has answered


class NotAsked(ChoregraphieError):
    """An answer to a step that was not asked: nothing is known of the command that it would answer."""


class Clock(StrEnum):
    """The input that no event brings."""

    TIME_IS_OVER = "time is over"


Input = EventClass | Clock


@dataclass(frozen=True)
class Instance:
    """Where an instance stands. Steps are named; each tuple has them in the order in which it happened.

    asked     the steps whose command was said
    executed  those that have succeeded, also late
    refused   those that have refused
    undoing   the step whose undoing was asked for and has not answered
    undone    those whose undoing has answered
    doomed    a cancellation was asked for before the start event came
    review    a person must look: an answer that cannot be done without did not come in time
    """

    state: State = State.NEW
    asked: Names = ()
    executed: Names = ()
    refused: Names = ()
    undoing: str = ""
    undone: Names = ()
    doomed: bool = False
    review: bool = False

    @property
    def failing(self) -> bool:
        """Whether it is being cancelled, or was."""
        return self.state in {State.FAILED, State.COMPENSATING, State.COMPENSATED}


def advance(saga: Orchestration, instance: Instance, heard: Input) -> tuple[Instance, Commands]:
    """The instance after `heard`, and the commands that it says. Raises NotAsked."""
    if heard is saga.starts:
        return _start(saga, instance)
    if heard is saga.cancel_asked:
        if instance.state is State.NEW:
            return replace(instance, doomed=True), ()
        return (instance, ()) if instance.failing else _fail(saga, instance)
    if heard is Clock.TIME_IS_OVER:
        return _time_over(saga, instance)
    step = saga.step_of[heard]
    if heard is step.success:
        return _succeeded(saga, instance, step)
    return _undone(saga, instance, step) if heard is step.undone else _refused(saga, instance, step)


def awaited(saga: Orchestration, instance: Instance) -> tuple[Step, ...]:
    """The steps that have not answered what was last said to them; it is the undoing that is awaited if any is."""
    if instance.undoing:
        return (saga.by_name[instance.undoing],)
    if instance.state is not State.RUNNING:
        return ()
    return tuple(saga.by_name[name] for name in instance.asked if name not in instance.executed)


def _start(saga: Orchestration, instance: Instance) -> tuple[Instance, Commands]:
    if instance.state is not State.NEW:
        return instance, ()
    running = replace(instance, state=State.RUNNING)
    return _fail(saga, running) if instance.doomed else _ask_next(saga, running)


def _ask_next(saga: Orchestration, instance: Instance) -> tuple[Instance, Commands]:
    """Ask the next group, once every step that was asked has succeeded."""
    if len(instance.asked) == len(saga.all_steps):
        return replace(instance, state=State.COMPLETED), ()
    group = next(group for group in saga.groups if group[0].name not in instance.asked)
    asked = replace(instance, asked=(*instance.asked, *(step.name for step in group)))
    commands = tuple(step.command for step in group)
    if group[0].own:
        after, more = _succeeded(saga, asked, group[0])
        return after, (*commands, *more)
    return asked, commands


def _succeeded(saga: Orchestration, instance: Instance, step: Step) -> tuple[Instance, Commands]:
    asked = step.name in instance.asked
    told = saga.pivot.name in instance.undone and any(step.success in one.says for one in saga.on_cancelled)
    _check_asked(step, asked or told, step.success)
    if step.name in instance.executed or not asked:
        return instance, ()
    # A late success too is recorded: it is undone, or was, because everything that was asked is.
    instance = replace(instance, executed=(*instance.executed, step.name))
    if instance.state is not State.RUNNING:
        return instance, ()
    instance = replace(instance, review=False)
    if len(instance.executed) < len(instance.asked):
        return instance, ()
    notices = _commands(saga.on_created) if step.pivot else ()
    after, more = _ask_next(saga, instance)
    return after, (*notices, *more)


def _refused(saga: Orchestration, instance: Instance, step: Step) -> tuple[Instance, Commands]:
    assert step.refusal is not None  # noqa: S101 - it was heard
    _check_asked(step, step.name in instance.asked, step.refusal)
    if step.name in instance.refused:
        return instance, ()
    instance = replace(instance, refused=(*instance.refused, step.name))
    return _fail(saga, instance) if instance.state is State.RUNNING else (instance, ())


def _undone(saga: Orchestration, instance: Instance, step: Step) -> tuple[Instance, Commands]:
    assert step.undone is not None  # noqa: S101 - it was heard
    refuses = step.refusal is step.undone and step.name in instance.asked  # the pivot refuses by cancelling
    _check_asked(step, refuses or instance.undoing == step.name or step.name in instance.undone, step.undone)
    if step.name in instance.undone:
        return instance, ()
    instance = replace(instance, undone=(*instance.undone, step.name), undoing="", review=False)
    told = _commands(saga.on_cancelled) if step.pivot else ()
    after, more = _undo_next(saga, replace(instance, state=State.COMPENSATING))
    return after, (*told, *more)


def _fail(saga: Orchestration, instance: Instance) -> tuple[Instance, Commands]:
    """Begin the compensation: ask for the cancellation."""
    pivot = saga.pivot
    assert pivot.undoing is not None  # noqa: S101 - the declaration was checked
    failed = replace(instance, state=State.FAILED, undoing=pivot.name, review=False)
    if pivot.own:
        after, more = _undone(saga, failed, pivot)
        return after, (pivot.undoing, *more)
    return failed, (pivot.undoing,)


def _undo_next(saga: Orchestration, instance: Instance) -> tuple[Instance, Commands]:
    """Ask for one undoing: what may still be carried out first, then in the reverse order of execution."""
    pending = [name for name in instance.asked if name not in instance.executed]
    for name in (*reversed(pending), *reversed(instance.executed)):
        step = saga.by_name[name]
        if step.undoing is not None and name not in instance.undone:
            return replace(instance, undoing=name), (step.undoing,)
    return replace(instance, state=State.COMPENSATED), ()


def _time_over(saga: Orchestration, instance: Instance) -> tuple[Instance, Commands]:
    waits_for = awaited(saga, instance)
    if not waits_for:
        return instance, ()
    # After the pivot, and in a compensation, there is nothing to do instead: only a person can help.
    if instance.undoing or saga.pivot.name in instance.executed:
        return replace(instance, review=True), () if instance.review else (saga.review,)
    return _fail(saga, instance)


def _commands(notices: tuple[Notice, ...]) -> Commands:
    return tuple(notice.command for notice in notices)


def _check_asked(step: Step, asked: bool, answer: EventClass) -> None:
    if not asked:
        raise NotAsked(f"{answer.TYPE}: the step {step.name} was not asked for it")
