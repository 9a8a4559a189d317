"""The names of an orchestrated saga's state in Promela, and what each of its bits means. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from choregraphie.orchestration.declaration import Notice, Orchestration, Step
from choregraphie.prover.identifiers import identifiers
from choregraphie.prover.promela_names import all_of, any_of
from choregraphie.saga.choreography import EventClass


@dataclass(frozen=True)
class Message:
    """What is said once: a client's event, a command, or an answer to a command."""

    event: EventClass
    answers: EventClass | None = None


class Bits:
    """One bit of state each: a message was said, taken; a command was carried out, undone, given up."""

    def __init__(self, saga: Orchestration) -> None:
        self.saga = saga
        self.pivot = next(step for step in saga.all_steps if step.pivot)
        self.commands = tuple(dict.fromkeys(saga.commands()))
        self._commands = identifiers(self.commands, lambda event: event.TYPE)
        self.messages = tuple(dict.fromkeys(self._all()))
        self._messages = identifiers(self.messages, self._text)
        self._steps = identifiers(saga.all_steps, lambda step: step.name)

    def _all(self) -> Iterator[Message]:
        yield from map(Message, (self.saga.starts, self.saga.cancel_asked, *self.commands))
        for command in self.commands:
            yield from (Message(answer, command) for answer in self.answers(command))

    def _text(self, message: Message) -> str:
        alone = sum(other.event is message.event for other in self.messages) == 1
        return (
            message.event.TYPE
            if alone or message.answers is None
            else f"{message.event.TYPE}_to_{message.answers.TYPE}"
        )

    def answers(self, command: EventClass) -> tuple[EventClass, ...]:
        """What a service may answer to `command`: its success first, its refusal second."""
        for step in self.saga.all_steps:
            if command is step.command and not step.own:
                return tuple(event for event in (step.success, step.refusal) if event is not None)
            if command is step.undoing and command is not step.undone:
                return (step.undone,) if step.undone else ()
        return next((notice.says for notice in self.notices if notice.command is command), ())

    @cached_property
    def notices(self) -> tuple[Notice, ...]:
        """What is said beside steps and undoings."""
        return (*self.saga.on_created, *self.saga.on_cancelled)

    def said(self, event: EventClass, answers: EventClass | None = None) -> str:
        return f"said_{self._messages[Message(event, answers)]}"

    def taken(self, message: Message) -> str:
        return f"taken_{self._messages[message]}"

    def of_command(self, what: str, command: EventClass) -> str:
        """A bit of a command. `what`: done, undone_before, dead."""
        return f"{what}_{self._commands[command]}"

    def of_step(self, what: str, step: Step) -> str:
        """What the orchestrator knows of a step. `what`: asked, executed, refused, undone, place."""
        return f"{what}_{self._steps[step]}"

    def number(self, step: Step) -> int:
        """The value of `undoing` while the undoing of `step` is awaited."""
        return self.saga.all_steps.index(step) + 1

    def event_said(self, event: EventClass | None) -> str:
        """That `event` was said, in answer to whatever."""
        return any_of(f"said_{self._messages[message]}" for message in self.messages if message.event is event)

    def dead(self) -> str:
        """That a command is a dead letter, which needs a person."""
        return any_of(self.of_command("dead", command) for command in self.commands if command.SAID_TO)

    def taken_back(self, undoing: EventClass) -> tuple[EventClass, ...]:
        """The commands whose effects `undoing` takes back: those of its own service."""
        steps = [step for step in self.saga.all_steps if step.undoing is undoing]
        told = [notice.command for notice in self.saga.on_created]
        corrected = [one for notice in self.notices if notice.command is undoing for one in notice.undoes]
        candidates = [*(step.command for step in steps), *(told if steps else ()), *corrected]
        return tuple(command for command in candidates if command.SAID_TO == undoing.SAID_TO)

    @cached_property
    def corrected(self) -> tuple[EventClass, ...]:
        """The commands that a notice of the cancellation takes back, whose answer nobody awaits."""
        return tuple(one for notice in self.saga.on_cancelled for one in self.taken_back(notice.command))

    @cached_property
    def undoable(self) -> frozenset[EventClass]:
        """The commands that some other takes back."""
        return frozenset(one for command in self.commands for one in self.taken_back(command))

    def pending(self) -> str:
        """A step was asked and has not succeeded."""
        return any_of(self.pending_step(step) for step in self.saga.all_steps)

    def pending_step(self, step: Step) -> str:
        return all_of([self.of_step("asked", step), f"!{self.of_step('executed', step)}"])
