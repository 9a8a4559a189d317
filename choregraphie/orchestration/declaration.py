"""An orchestrated saga as data: its steps, each with its command, its answers and its undoing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from choregraphie.errors import BadApplication
from choregraphie.orchestration.review import review_event
from choregraphie.orchestration.rules import problems
from choregraphie.saga.choreography import DecisionField, EventClass


class BadOrchestration(BadApplication):
    """The declaration of an orchestrated saga is not sound. Its text names the place and the remedy."""


@dataclass(frozen=True)
class Step:
    """One command, what its service may answer, and how it is undone.

    command  what the orchestrator says; of a step that the orchestrator settles itself, its success
    success  the answer when it was carried out
    refusal  the answer when it was not, or when its tries are exhausted
    undoing  the command that takes it back; undone: the answer, which is always given
    timeout  seconds until an answer must have come; SAGA_STEP_TIMEOUTS gives others, and SAGA_DEADLINE the longest
    tries    how often the service tries the command; None: as often as SAGA_RETRY_DELAYS gives
    delay    seconds between tries; None: those of SAGA_RETRY_DELAYS
    pivot    its success creates the instance, and what comes after it cannot refuse. Its undoing is said first in
             every compensation, and its answer cancels the instance
    """

    name: str
    command: EventClass
    success: EventClass
    refusal: EventClass | None = None
    undoing: EventClass | None = None
    undone: EventClass | None = None
    timeout: float | None = None
    tries: int | None = None
    delay: float | None = None
    pivot: bool = False

    @property
    def own(self) -> bool:
        """Whether the orchestrator settles it itself: the command is its own answer."""
        return self.command is self.success

    @property
    def service(self) -> str:
        """Who carries it out."""
        return self.command.SAID_BY if self.own else self.command.SAID_TO

    @property
    def answers(self) -> tuple[EventClass, ...]:
        """What its service may answer to either command, each once."""
        named = (self.success, self.refusal, self.undone)
        return tuple(dict.fromkeys(event for event in named if event is not None))


@dataclass(frozen=True)
class Notice:
    """A command that is said once, and whose answer is not awaited.

    says    what its service may answer
    undoes  the commands whose effects it corrects
    """

    command: EventClass
    says: tuple[EventClass, ...] = ()
    undoes: tuple[EventClass, ...] = ()


@dataclass(frozen=True, eq=False)
class Orchestration:
    """An orchestrated saga. Raises BadOrchestration when it is not sound.

    name          of the saga; noun: what a person calls an instance, and several of them
    service       the orchestrator, which says every command
    starts        the client's event with which an instance begins; cancel_asked: the demand to cancel it
    steps         in their order; the steps of a tuple run in parallel
    on_created    what is said beside the steps when the pivot has succeeded
    on_cancelled  what is said beside the undoings when the instance was cancelled
    facts         fields of commands that are computed from the instance, by their names
    version       of the declaration: raise it when a worker of the old one could not continue an instance
    """

    name: str
    noun: tuple[str, str]
    service: str
    starts: EventClass
    cancel_asked: EventClass
    steps: tuple[Step | tuple[Step, ...], ...]
    on_created: tuple[Notice, ...] = ()
    on_cancelled: tuple[Notice, ...] = ()
    searched: tuple[str, ...] = ()
    decision_field: DecisionField | None = None
    facts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        for problem in problems(self):
            raise BadOrchestration(f"orchestration {self.name}: {problem}")

    @cached_property
    def groups(self) -> tuple[tuple[Step, ...], ...]:
        """The steps in their order; those of one group run in parallel."""
        return tuple(group if isinstance(group, tuple) else (group,) for group in self.steps)

    @cached_property
    def all_steps(self) -> tuple[Step, ...]:
        """Every step, in the order of the declaration."""
        return tuple(step for group in self.groups for step in group)

    @cached_property
    def by_name(self) -> dict[str, Step]:
        """Every step by its name."""
        return {step.name: step for step in self.all_steps}

    @cached_property
    def pivot(self) -> Step:
        """The step that creates the instance."""
        return next(step for step in self.all_steps if step.pivot)

    @cached_property
    def place_of_pivot(self) -> int:
        """The index of the pivot's group."""
        return self.groups.index((self.pivot,))

    @property
    def table(self) -> str:
        """The name of the table of its instances."""
        return f"{self.service}_instances"

    @cached_property
    def created(self) -> EventClass:
        """The event that creates an instance."""
        return self.pivot.success

    @cached_property
    def cancelled(self) -> EventClass:
        """The event that cancels an instance."""
        assert self.pivot.undone is not None  # noqa: S101 - `problems` requires it
        return self.pivot.undone

    @cached_property
    def review(self) -> EventClass:
        """The event that asks for a person."""
        return review_event(self)

    @cached_property
    def heard(self) -> tuple[EventClass, ...]:
        """What the orchestrator hears: clients' events, then the answers of other services."""
        answers = (event for step in self.all_steps if not step.own for event in step.answers)
        return tuple(dict.fromkeys((self.starts, self.cancel_asked, *answers)))

    @cached_property
    def step_of(self) -> dict[EventClass, Step]:
        """The step that each answer answers."""
        return {event: step for step in reversed(self.all_steps) for event in step.answers}

    def commands(self) -> Iterator[EventClass]:
        """Every command, with the orchestrator's own words."""
        for step in self.all_steps:
            yield step.command
            if step.undoing is not None:
                yield step.undoing
        yield from (notice.command for notice in (*self.on_created, *self.on_cancelled))
