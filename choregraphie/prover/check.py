"""The check of a choreography: the declaration first, then its runs, then the code against it. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from choregraphie.prover import conformance as tables
from choregraphie.prover import run_rules as behaviour
from choregraphie.prover import static_rules as structure
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import StateSpace, explore
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service

_STRUCTURE = (Rule.STEPS, Rule.DECIDES, Rule.SENDER, Rule.HEARD, Rule.SAID, Rule.ANSWERS)
_BEHAVIOUR = (
    Rule.REACHABLE,
    Rule.CYCLE,
    Rule.GIVES_UP,
    Rule.UNDONE,
    Rule.IRREVERSIBLE,
    Rule.DEADLINE,
    Rule.ENDS,
)
_CODE = (Rule.AS_DECLARED,)


@dataclass(frozen=True)
class Proof:
    """What was found. `postponed` are the rules not judged: they make sense once the others hold."""

    choreography: Choreography
    runs: StateSpace
    checked: tuple[Rule, ...]
    postponed: tuple[Rule, ...]
    violations: tuple[Violation, ...]

    @property
    def clean(self) -> bool:
        return not self.violations


def prove(choreography: Choreography, services: Mapping[str, Service] | None = None) -> Proof:
    """Check `choreography`, and `services` against it when there are any to compare.

    Raises TooLarge when there are more abstract runs than can be walked through.
    """
    runs = explore(choreography)
    parts: list[tuple[tuple[Rule, ...], Callable[[], Iterator[Violation]]]] = [
        (_STRUCTURE, lambda: structure.violations(choreography, runs)),
        (_BEHAVIOUR, lambda: behaviour.violations(choreography, runs)),
    ]
    if services is not None:
        parts.append((_CODE, lambda: tables.violations(choreography, runs, services)))
    checked: tuple[Rule, ...] = ()
    found: tuple[Violation, ...] = ()
    for rules, judge in parts:
        if not found:
            checked += rules
            found = tuple(judge())
    postponed = tuple(rule for rules, _ in parts for rule in rules if rule not in checked)
    return Proof(choreography, runs, checked, postponed, found)
