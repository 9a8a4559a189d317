"""The rule of holds: every hold of an inbox ends. Pure.

A worker ends a hold after its bound, and the retries then end the message; so it is enough that each bound is one.
"""

from collections.abc import Iterator, Mapping

from choregraphie.prover.rules import Rule, Violation
from choregraphie.saga.choreography import Choreography
from choregraphie.service.circuit_breaker import CircuitBreaker
from choregraphie.service.service import Handler, Service
from choregraphie.setting_types import LONGEST_HOLD_SECONDS


def violations(choreography: Choreography, services: Mapping[str, Service]) -> Iterator[Violation]:
    for service in services.values():
        declared: dict[str, CircuitBreaker] = {}
        for handler in service.reactions_of(choreography.name):
            if handler.breaker is None:
                continue
            same = declared.setdefault(handler.breaker.outside, handler.breaker)
            about = f"{service.name}.{handler.action}, held for {handler.breaker.outside},"
            for what, remedy in _problems(handler, handler.breaker, same):
                yield Violation(Rule.HOLDS, f"{about} {what}", service.name, remedy)


def _problems(handler: Handler, breaker: CircuitBreaker, same: CircuitBreaker) -> Iterator[tuple[str, str]]:
    if handler.call is None:
        yield "makes no call: nothing would end the hold early", "give the reaction its call=…, or no breaker"
    bound = breaker.longest_hold
    if bound is not None and not 0 < bound <= LONGEST_HOLD_SECONDS:
        what = f"may be held for {bound} s, which is no bound between 0 and {LONGEST_HOLD_SECONDS} s"
        yield what, "give the breaker a longest_hold within it, or none for that of SAGA_LONGEST_HOLD"
    if same != breaker:
        yield "has another breaker for it than the reaction before it", "declare it once and use it for both"
