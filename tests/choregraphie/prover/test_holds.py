"""Every hold ends: a circuit breaker without a call or without a bound is refused."""

import dataclasses
import math
from typing import Any

import pytest

from choregraphie import CircuitBreaker
from choregraphie.prover import Rule, prove
from contracts.choreography import CHOREOGRAPHY
from services.application import APP

GATEWAY = "the card gateway"


def refused(*changes: dict[str, Any]) -> list[str]:
    """Why the shipped saga is refused with these changes to the reactions of `paiement`."""
    service = APP.by_name["paiement"]
    changed = (dataclasses.replace(one, **how) for one, how in zip(service.reactions, changes, strict=False))
    reactions = (*changed, *service.reactions[len(changes) :])
    services = APP.by_name | {"paiement": dataclasses.replace(service, reactions=reactions)}
    proof = prove(CHOREOGRAPHY, services)
    assert {violation.rule for violation in proof.violations} <= {Rule.HOLDS}
    return [violation.what for violation in proof.violations]


@pytest.mark.parametrize("bound", [None, 1, 0.5, 21_600])
def test_a_bound_is_one_of_its_own_or_that_of_the_settings(bound: float | None) -> None:
    breaker = CircuitBreaker(GATEWAY, longest_hold=bound)
    assert refused({"breaker": breaker}, {"breaker": breaker}) == []


@pytest.mark.parametrize("bound", [0, -1, math.inf, math.nan, 21_601])
def test_a_hold_without_an_end_is_refused(bound: float) -> None:
    breaker = CircuitBreaker(GATEWAY, longest_hold=bound)
    what, _ = refused({"breaker": breaker}, {"breaker": breaker})
    assert what.startswith("paiement.encaisser, held for the card gateway, may be held for ")


def test_a_breaker_without_a_call_is_refused() -> None:
    (what,) = refused({"call": None})
    assert "makes no call" in what


def test_two_breakers_of_one_system_are_refused() -> None:
    (what,) = refused({"breaker": CircuitBreaker(GATEWAY, failures=3)})
    assert what.startswith("paiement.rembourser, held for the card gateway, has another breaker")
