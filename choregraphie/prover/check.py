"""The check of a choreography: its declaration, then its runs, then the code against it. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from choregraphie.orchestration.exploration import explore as explore_runs
from choregraphie.orchestration.wiring import Orchestrated
from choregraphie.prover import conformance, hold_rules, orchestrated, run_rules, static_rules
from choregraphie.prover.model import Model
from choregraphie.prover.orchestrated import OrchestratedSpace
from choregraphie.prover.reduction import ReducedSpace
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import MOST_STATES, Space, explore
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service

_STATIC = (Rule.STEPS, Rule.DECIDES, Rule.SENDER, Rule.HEARD, Rule.SAID, Rule.ANSWERS)
_RUN = (
    Rule.REACHABLE,
    Rule.CYCLE,
    Rule.GIVES_UP,
    Rule.UNDONE,
    Rule.IRREVERSIBLE,
    Rule.DEADLINE,
    Rule.ENDS,
)
_CONFORMANCE = (Rule.AS_DECLARED, Rule.HOLDS)


Part = tuple[tuple[Rule, ...], Callable[[], Iterator[Violation]]]


@dataclass(frozen=True)
class Proof:
    """The result of a check. `not_checked`: the rules that make sense only once those of `checked` hold."""

    choreography: Choreography
    space: Space
    checked: tuple[Rule, ...]
    not_checked: tuple[Rule, ...]
    violations: tuple[Violation, ...]

    @property
    def kind(self) -> str:
        """What was checked."""
        return "orchestration" if isinstance(self.choreography, Orchestrated) else "choreography"

    @property
    def holds(self) -> bool:
        return not self.violations


def prove(
    choreography: Choreography,
    services: Mapping[str, Service] | None = None,
    *,
    full: bool = False,
    most: int = MOST_STATES,
) -> Proof:
    """Check `choreography` and, when given, `services` against it.

    The rules come in three groups: static, over all runs, conformance of the code. The first group with violations
    is the last one checked. `full` explores every state; without it, partial-order reduction gives the same
    verdicts from fewer; an orchestration is always explored whole. Raises TooLarge beyond `most` states a search.
    """
    if isinstance(choreography, Orchestrated):
        space, parts = _orchestrated(choreography)
    else:
        space, parts = _choreographed(
            choreography, explore(choreography, most) if full else ReducedSpace(choreography, most)
        )
    if services is not None:
        parts.append((_CONFORMANCE, lambda: _of_code(choreography, space, services)))
    checked: tuple[Rule, ...] = ()
    violations: tuple[Violation, ...] = ()
    for rules, violations_of in parts:
        if not violations:
            checked += rules
            violations = tuple(violations_of())
    not_checked = tuple(rule for rules, _ in parts for rule in rules if rule not in checked)
    return Proof(choreography, space, checked, not_checked, violations)


def _choreographed(saga: Choreography, space: Space) -> tuple[Space, list[Part]]:
    return space, [
        (_STATIC, lambda: static_rules.violations(saga, space)),
        (_RUN, lambda: run_rules.violations(saga, space)),
    ]


def _of_code(saga: Choreography, space: Space, services: Mapping[str, Service]) -> Iterator[Violation]:
    yield from conformance.violations(saga, space, services)
    yield from hold_rules.violations(saga, services)
    if isinstance(saga, Orchestrated):
        yield from orchestrated.code_violations(saga, services)


def _orchestrated(saga: Orchestrated) -> tuple[Space, list[Part]]:
    exploration = explore_runs(saga.orchestration)
    space = OrchestratedSpace(Model(saga), exploration)
    return space, [
        (orchestrated.STATIC, lambda: orchestrated.static_violations(saga, space)),
        (orchestrated.RUN, lambda: orchestrated.run_violations(saga, exploration)),
    ]
