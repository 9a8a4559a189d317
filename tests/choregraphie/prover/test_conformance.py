"""Conformance: each difference between the services' tables and the declared choreography is reported."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Never

import pytest

from choregraphie import Service, Transaction, on
from choregraphie.prover import Rule, Violation, as_text, prove
from contracts.choreography import CHOREOGRAPHY
from contracts.commande import CommandeAnnulee, CommandeCreee
from contracts.paiement import PaiementEchoue, PaiementEffectue
from contracts.stock import StockReserve
from services.application import APP
from services.stock import SERVICE as STOCK


def vendre_et_dire(heard: CommandeCreee, tx: Transaction) -> Iterator[StockReserve]:
    yield from ()


def ecouter(heard: PaiementEffectue, tx: Transaction) -> Iterator[Never]:
    yield from ()


def instead(service: str, **how: Any) -> dict[str, Service]:
    """The shipped services, one of them changed."""
    return APP.by_name | {service: dataclasses.replace(APP.by_name[service], **how)}


def with_handler(service: str, hears: type[Any], **how: Any) -> dict[str, Service]:
    """The shipped services, one reaction changed."""
    table = APP.by_name[service].reactions
    changed = tuple(
        dataclasses.replace(handler, **how) if handler.hears == (hears,) else handler for handler in table
    )
    return instead(service, reactions=changed)


def refused(services: dict[str, Service]) -> list[Violation]:
    proof = prove(CHOREOGRAPHY, services)
    assert {violation.rule for violation in proof.violations} == {Rule.AS_DECLARED}
    assert "REFUSED  as-declared" in as_text(proof)
    return list(proof.violations)


def test_a_declared_service_without_code_is_refused() -> None:
    (violation,) = refused({name: service for name, service in APP.by_name.items() if name != "stock"})
    assert violation.what == "stock is declared, and there is no such service"


def test_a_service_that_is_not_declared_is_refused() -> None:
    (violation,) = refused(APP.by_name | {"caisse": dataclasses.replace(STOCK, name="caisse")})
    assert violation.what == "caisse is a service that the choreography does not declare"


def test_a_missing_reaction_is_refused_with_a_run_that_needs_it() -> None:
    (violation,) = refused(instead("stock", reactions=STOCK.reactions[:2]))
    assert "stock is declared to hear commande.annulee, and its table has no reaction to it" in violation.what
    assert violation.run[-1].hears is CommandeAnnulee


def test_a_reaction_that_is_not_declared_is_refused() -> None:
    (violation,) = refused(instead("stock", reactions=(*STOCK.reactions, on(PaiementEffectue, ecouter))))
    assert violation.what == "stock hears paiement.effectue, which the choreography does not declare"


def test_a_reaction_that_says_another_event_is_refused() -> None:
    first, *_ = refused(with_handler("stock", CommandeCreee, do=vendre_et_dire))
    assert first.what == "stock.vendre_et_dire says stock.reserve; declared: nothing"


def test_a_reaction_without_its_declared_refusal_is_refused() -> None:
    (violation,) = refused(with_handler("paiement", StockReserve, gives_up=None))
    assert violation.what == f"paiement.encaisser gives up with nothing; declared: {PaiementEchoue.TYPE}"


def test_an_undoing_that_lacks_an_action_is_refused() -> None:
    undoing = next(handler for handler in STOCK.reactions if handler.hears == (CommandeAnnulee,))
    (violation,) = refused(with_handler("stock", CommandeAnnulee, undoes=undoing.undoes[:1]))
    assert violation.what == (
        "stock.liberer undoes what was done on commande.initiee; declared: commande.creee, commande.initiee"
    )


def test_a_missing_timed_reaction_is_refused() -> None:
    (violation,) = refused(instead("commande", timed=()))
    assert violation.what == "commande's clock says nothing; declared: commande.annulee"


def test_the_code_is_compared_once_the_declaration_holds() -> None:
    """Before that, what the services should do is unknown."""
    proof = prove(dataclasses.replace(CHOREOGRAPHY, timed=()), {})
    assert [violation.rule for violation in proof.violations] == [Rule.DEADLINE]
    assert proof.not_checked == (Rule.AS_DECLARED, Rule.HOLDS)


@pytest.mark.parametrize("name", APP.by_name)
def test_each_shipped_service_is_as_declared(name: str) -> None:
    assert all(violation.service != name for violation in prove(CHOREOGRAPHY, APP.by_name).violations)
