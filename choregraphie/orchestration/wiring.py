"""An orchestrated saga as a choreography: the orchestrator is one more service that hears answers, says commands.

The topology, the monitor, the simulator and all tools read declarations of that form, so they serve both kinds.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from choregraphie.orchestration.declaration import Notice, Orchestration, Step
from choregraphie.orchestration.exploration import explore
from choregraphie.orchestration.machine import Clock
from choregraphie.saga import choreography as saga_of
from choregraphie.saga.choreography import Choreography, Deadline, EventClass, Reaction


@dataclass(frozen=True)
class Orchestrated(Choreography):
    """The choreography that an orchestrator and its services carry out. Created by `wiring`."""

    orchestration: Orchestration = field(kw_only=True)

    @cached_property
    def services(self) -> tuple[str, ...]:
        """The orchestrator, then the services in the order of the steps."""
        return tuple(dict.fromkeys((self.orchestration.service, *(step.service for step in self.steps))))

    @property
    def orchestrator(self) -> str:
        """The service that leads the others."""
        return self.orchestration.service

    @property
    def asked_to_cancel(self) -> EventClass | None:
        """The command that asks for the cancellation; None where the orchestrator says it itself."""
        pivot = self.orchestration.pivot
        return None if pivot.own else pivot.undoing

    @property
    def review(self) -> EventClass:
        """The event with which the orchestrator asks for a person."""
        return self.orchestration.review

    @cached_property
    def before_creation(self) -> tuple[saga_of.Step, ...]:
        """The steps up to the pivot, the last ones first."""
        groups = self.orchestration.groups[: self.orchestration.place_of_pivot + 1]
        names = [step.name for group in groups for step in group]
        return tuple(step for step in reversed(self.steps) if step.name in names)

    @property
    def table(self) -> tuple[str, str]:
        """The orchestrator, and the table of its instances."""
        return self.orchestration.service, self.orchestration.table

    def undoings_due(self, said: Container[str]) -> tuple[saga_of.Step, ...]:
        """The steps that were asked for: only those are undone."""
        return tuple(step for step in self.undoings if all(event.TYPE in said for event in step.awaits))

    def tries_of(self, step: str, usual: int) -> int:
        """How often the step of that name is tried, where the settings give `usual` tries."""
        declared = self.orchestration.by_name.get(step)
        if declared is None or declared.tries is None:
            return usual
        return min(usual, declared.tries) if declared.delay is None else declared.tries

    @cached_property
    def command_types(self) -> frozenset[str]:
        """The wire types of the commands."""
        return frozenset(type_ for type_, event in self.event_types.items() if event.SAID_TO)

    @cached_property
    def notices(self) -> tuple[Reaction, ...]:
        """The reactions to commands that are of no step."""
        told = [notice.command for notice in (*self.orchestration.on_created, *self.orchestration.on_cancelled)]
        return tuple(reaction for reaction in self.reactions if reaction.awaits[0] in told)

    def called_for(self, remaining: Sequence[str]) -> tuple[str, ...]:
        """What is awaited now: of each step, its command or else its answer.

        The steps of one group are awaited together, undoings one after another, and beside them notices.
        """
        if self.cancelled.TYPE in remaining:
            return (self.cancelled.TYPE,)
        notices = tuple(s.TYPE for r in self.notices for s in r.says if s.TYPE in remaining)
        for step in reversed(self.undoings):
            if step.undone and step.undo and step.undone.TYPE in remaining:
                return (step.undo.TYPE if step.undo.TYPE in remaining else step.undone.TYPE, *notices)
        for group in self.orchestration.groups:
            if called := [step for step in group if step.success.TYPE in remaining]:
                return tuple((s.command if s.command.TYPE in remaining else s.success).TYPE for s in called)
        return notices


def wiring(saga: Orchestration) -> Orchestrated:
    """The choreography of `saga`."""
    reactions = (*_of_orchestrator(saga), *_of_services(saga))
    heard = {event for reaction in reactions for event in reaction.awaits}
    # A demand to cancel proves nothing: its client may name an instance that never existed.
    after = tuple(event for event in saga.heard if event is not saga.cancel_asked)
    timed = Deadline(saga.service, explore(saga).says(Clock.TIME_IS_OVER), after=after)
    said = [event for reaction in reactions for event in reaction.says]
    return Orchestrated(
        name=saga.name,
        noun=saga.noun,
        starts=saga.starts,
        created=saga.created,
        cancelled=saga.cancelled,
        cancel_asked=saga.cancel_asked,
        decider=saga.pivot.service,
        steps=tuple(_step(saga, step) for step in saga.all_steps),
        reactions=reactions,
        timed=(timed,),
        final=tuple(event for event in dict.fromkeys((*said, saga.review)) if event not in heard),
        searched=saga.searched,
        decision_field=saga.decision_field,
        orchestration=saga,
    )


def _step(saga: Orchestration, step: Step) -> saga_of.Step:
    refusal = step.refusal
    if step.own:
        before = saga.groups[saga.place_of_pivot - 1] if saga.place_of_pivot else ()
        after = tuple(one.success for one in before) or (saga.starts,)
        return saga_of.Step(step.service, after, step.success, name=step.name)
    if step.pivot:
        # It cancels as a whole; what must be answered is only what the other steps undo.
        return saga_of.Step(step.service, step.command, step.success, refusal, name=step.name)
    return saga_of.Step(
        step.service, step.command, step.success, refusal, step.undone, name=step.name, undo=step.undoing
    )


def _of_orchestrator(saga: Orchestration) -> Iterator[Reaction]:
    outcomes = {saga.created, saga.cancelled} if saga.pivot.own else set()
    for heard in saga.heard:
        says = explore(saga).says(heard)
        yield Reaction(saga.service, heard, says, decision=not outcomes.isdisjoint(says))


def _of_services(saga: Orchestration) -> Iterator[Reaction]:
    for place, group in enumerate(saga.groups):
        for step in group:
            if not step.own:
                yield from _of_step(saga, step, irreversible=place > saga.place_of_pivot)
    for notice in (*saga.on_created, *saga.on_cancelled):
        yield Reaction(notice.command.SAID_TO, notice.command, notice.says, undoes=notice.undoes)


def _of_step(saga: Orchestration, step: Step, *, irreversible: bool) -> Iterator[Reaction]:
    says = tuple(event for event in (step.success, step.refusal) if event is not None)
    if step.pivot:
        assert step.undoing and step.undone  # noqa: S101 - the declaration was checked
        yield Reaction(step.service, step.command, says, decision=True)
        yield Reaction(step.service, step.undoing, (step.undone,), decision=True)
        return
    yield Reaction(step.service, step.command, says, refusal=step.refusal, irreversible=irreversible)
    if step.undoing and step.undone:
        undoes = (step.command, *_told(saga.on_created, step.service))
        yield Reaction(step.service, step.undoing, (step.undone,), undoing=True, undoes=undoes)


def _told(notices: tuple[Notice, ...], service: str) -> Iterator[EventClass]:
    return (notice.command for notice in notices if service == notice.command.SAID_TO)
