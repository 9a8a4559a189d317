"""The check of a choreography: its declaration, then its runs, then the code against it. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from choregraphie.prover import conformance, run_rules, static_rules
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace, explore
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
_CONFORMANCE = (Rule.AS_DECLARED,)


@dataclass(frozen=True)
class Proof:
    """The result of a check. `not_checked`: the rules that make sense only once those of `checked` hold."""

    choreography: Choreography
    space: StateSpace
    checked: tuple[Rule, ...]
    not_checked: tuple[Rule, ...]
    violations: tuple[Violation, ...]

    @property
    def holds(self) -> bool:
        return not self.violations


def prove(choreography: Choreography, services: Mapping[str, Service] | None = None) -> Proof:
    """Check `choreography` and, when given, `services` against it.

    The rules come in three groups: static, over all runs, conformance of the code. The first group with violations
    is the last one checked. Raises TooLarge when there are more states than can be explored.
    """
    space = explore(choreography)
    parts: list[tuple[tuple[Rule, ...], Callable[[], Iterator[Violation]]]] = [
        (_STATIC, lambda: static_rules.violations(choreography, space)),
        (_RUN, lambda: run_rules.violations(choreography, space)),
    ]
    if services is not None:
        parts.append((_CONFORMANCE, lambda: conformance.violations(choreography, space, services)))
    checked: tuple[Rule, ...] = ()
    violations: tuple[Violation, ...] = ()
    for rules, violations_of in parts:
        if not violations:
            checked += rules
            violations = tuple(violations_of())
    not_checked = tuple(rule for rules, _ in parts for rule in rules if rule not in checked)
    return Proof(choreography, space, checked, not_checked, violations)
