"""Every run of one orchestrated instance: answers in any order, refusals, timeouts, cancellations. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from choregraphie.orchestration.declaration import BadOrchestration, Orchestration
from choregraphie.orchestration.machine import Clock, Input, Instance, State, advance, awaited
from choregraphie.saga.choreography import EventClass

Run = tuple[Input, ...]

# Some seconds of exploration, at every start. Five steps in parallel have 47 325 states, the shipped saga has 75.
MOST_STATES = 100_000


@dataclass
class Exploration:
    """What a saga can do.

    reached      each instance, with the input that led to it first, and from which
    ends         those to which no answer can come any more
    commands     by input, the commands that it may cause
    transitions  how many inputs were tried
    """

    saga: Orchestration
    reached: dict[Instance, tuple[Input | None, Instance | None]] = field(default_factory=dict)
    ends: list[Instance] = field(default_factory=list)
    commands: dict[Input, dict[EventClass, None]] = field(default_factory=dict)
    transitions: int = 0

    def run_to(self, instance: Instance) -> Run:
        """A shortest run to `instance`."""
        inputs: list[Input] = []
        at: Instance | None = instance
        while at is not None:
            heard, at = self.reached[at]
            inputs += [] if heard is None else [heard]
        return tuple(reversed(inputs))

    def says(self, heard: Input) -> tuple[EventClass, ...]:
        """The commands that `heard` may cause, in the order of the declaration."""
        found = self.commands.get(heard, {})
        return tuple(said for said in (*self.saga.commands(), self.saga.review) if said in found)


@lru_cache
def explore(saga: Orchestration) -> Exploration:
    """Explore everything that can happen, breadth first. Raises BadOrchestration beyond MOST_STATES."""
    found = Exploration(saga)
    first = Instance()
    found.reached[first] = (None, None)
    level = [first]
    while level:
        level = [after for instance in level for after in _expand(found, instance)]
    return found


def _expand(found: Exploration, instance: Instance) -> Iterator[Instance]:
    answers = list(_answers(found.saga, instance))
    if not answers and instance.state is not State.NEW:
        found.ends.append(instance)
    for heard in (*answers, *_others(found.saga, instance)):
        found.transitions += 1
        after, commands = advance(found.saga, instance, heard)
        found.commands.setdefault(heard, {}).update(dict.fromkeys(commands))
        if after not in found.reached:
            if len(found.reached) == MOST_STATES:
                raise BadOrchestration(
                    f"orchestration {found.saga.name}: its runs pass through more than {MOST_STATES} states; let"
                    " fewer steps run in parallel"
                )
            found.reached[after] = (heard, instance)
            yield after


def _answers(saga: Orchestration, instance: Instance) -> Iterator[Input]:
    """What services may still answer; a step ends in one way, and may have been prevented by its undoing."""
    for name in instance.asked:
        step = saga.by_name[name]
        if step.own or name in instance.executed or name in instance.refused:
            continue
        if step.pivot and name in instance.undone:
            continue
        yield step.success
        if step.refusal is not None:
            yield step.refusal
    if instance.undoing and (undone := saga.by_name[instance.undoing].undone) is not None:
        yield undone


def _others(saga: Orchestration, instance: Instance) -> Iterator[Input]:
    yield saga.starts
    yield saga.cancel_asked
    if awaited(saga, instance):
        yield Clock.TIME_IS_OVER
