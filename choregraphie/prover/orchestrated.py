"""The check of an orchestrated saga: its declarations, every run of its state machine, then the code. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from choregraphie.orchestration.exploration import Exploration, Run
from choregraphie.orchestration.machine import Clock, Input, Instance, State, awaited
from choregraphie.orchestration.wiring import Orchestrated
from choregraphie.prover import static_rules
from choregraphie.prover.model import Model
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import Explored, Goal, Space
from choregraphie.prover.state_space import Run as AbstractRun
from choregraphie.service.service import Service

STATIC = (Rule.SENDER, Rule.HEARD, Rule.SAID)
RUN = (Rule.REACHABLE, Rule.UNDONE, Rule.IRREVERSIBLE, Rule.DEADLINE, Rule.ENDS)


@dataclass(frozen=True)
class OrchestratedSpace(Space):
    """What was explored. A run is told in the sentence of its violation, so none is searched here."""

    model: Model
    exploration: Exploration

    @property
    def explored(self) -> Explored:
        found = self.exploration
        return Explored(len(found.reached), found.transitions, ends=len(found.ends))

    def run_to(self, *goals: Goal) -> AbstractRun | None:
        return None


def static_violations(saga: Orchestrated, space: Space) -> Iterator[Violation]:
    """The rules on declarations that hold for both kinds; `Orchestration` itself checks the others."""
    yield from static_rules.sender(saga, space)
    yield from static_rules.heard(saga, space)
    yield from static_rules.said(saga)


def run_violations(saga: Orchestrated, exploration: Exploration) -> Iterator[Violation]:
    """The broken rules of every run, each rule by its first run."""
    seen: set[Rule] = set()
    for instance in exploration.reached:
        for rule, what, remedy in _problems(exploration, instance):
            if rule not in seen:
                seen.add(rule)
                run = told(exploration.run_to(instance))
                yield Violation(rule, f"after {run}, {what}", exploration.saga.service, remedy)
    for command in exploration.saga.commands():
        if not any(command in said for said in exploration.commands.values()):
            what = f"no run says {command.TYPE}"
            yield Violation(Rule.REACHABLE, what, exploration.saga.service, "take it out of the declaration")


def _problems(exploration: Exploration, instance: Instance) -> Iterator[tuple[Rule, str, str]]:
    saga = exploration.saga
    names = [step.name for step in saga.all_steps if step.undoing and not step.pivot]
    left = [name for name in names if name in instance.asked and name not in instance.undone]
    if instance.state is State.COMPENSATED and left:
        yield Rule.UNDONE, f"{left[0]} was asked and is not undone", "give the step undoing= and undone="
    late = [step.name for group in saga.groups[saga.place_of_pivot + 1 :] for step in group]
    if any(name in instance.asked for name in late) and saga.pivot.name not in instance.executed:
        yield (
            Rule.IRREVERSIBLE,
            "a step that cannot be undone was asked before the pivot",
            "move it after the pivot",
        )
    over = instance.state in {State.COMPLETED, State.COMPENSATED}
    if not over and instance.state is not State.NEW and not awaited(saga, instance):
        yield Rule.DEADLINE, "nothing is awaited, so no time can be over", "let the step have an answer"
    if instance in exploration.ends and not over:
        yield Rule.ENDS, f"nothing more can come, and it is {instance.state}", "let every step have its answers"


def code_violations(saga: Orchestrated, services: Mapping[str, Service]) -> Iterator[Violation]:
    """The steps whose service tries a command more or less often, or at other times, than declared."""
    for step in saga.orchestration.all_steps:
        service = services.get(step.service)
        handler = service.on(step.command.TYPE) if service and not step.own else None
        if handler is not None and (handler.retry.tries, handler.retry.delay) != (step.tries, step.delay):
            tries, wanted = _times(handler.retry.tries, handler.retry.delay), _times(step.tries, step.delay)
            what = f"{step.service} tries {step.command.TYPE} {tries}; declared: {wanted}"
            remedy = "make retry=RetryOverride(…) of its ORCHESTRATION, and tries= and delay= of the step, agree"
            yield Violation(Rule.AS_DECLARED, what, step.service, remedy)


def told(run: Run) -> str:
    """A run in words: `commande.initiee, stock.reserve, time is over`."""
    return ", ".join(_name(heard) for heard in run) or "nothing"


def _name(heard: Input) -> str:
    return heard.value if isinstance(heard, Clock) else heard.TYPE


def _times(tries: int | None, delay: float | None) -> str:
    if tries is None:
        return "as often as SAGA_RETRY_DELAYS gives"
    return f"{tries} times" if delay is None else f"{tries} times, {delay:g} s apart"
