"""That calls begin is recorded in the transaction of whatever else is ready, as if in one of its own after it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from choregraphie import Settings
from choregraphie.pipeline.executor import Begun, execute_and_begin
from choregraphie.saga.envelope import Envelope
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.journal import JOURNAL
from choregraphie.testing import ServiceHarness, open_harness
from services.application import APP
from services.paiement import SERVICE
from services.settings import OrderSettings
from tests.support.event_builders import CMD, annulee, reserve
from tests.support.fake_gateway import FakeGateway
from tests.support.statements import watching

CATALOGUE = "[comptes]\nCLIENT-123 = 100.00\n"


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    catalogue: Path = tmp_path_factory.mktemp("paiement") / "catalogue.toml"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    return APP.with_seed(OrderSettings(database_url="sqlite://", catalogue=catalogue))


def decoded(harness: ServiceHarness, envelope: Envelope[Any]) -> Invocation:
    invocation = harness.decoder.decode(harness.delivery(envelope))
    assert isinstance(invocation, Invocation)
    return invocation


def called(gateway: FakeGateway, begun: Sequence[Begun]) -> list[Invocation]:
    """The invocations with the answers to their calls; one that must not call has none."""
    return [
        invocation._replace(answer=asyncio.run(invocation.handler.call(view.heard, view, gateway)))
        if view is not None and invocation.handler.call is not None
        else invocation
        for invocation, view in begun
    ]


def test_a_call_begins_in_the_transaction_that_carries_out_others(payments: Settings) -> None:
    gateway = FakeGateway()
    with open_harness(SERVICE, payments, gateway) as harness:
        first, second = (decoded(harness, harness.enveloped(reserve(key, montant="1.00"))) for key in "AB")
        _, begun = execute_and_begin(harness.store, [], [first], (1,), [])
        begins: list[str] = []
        with watching(harness.database, lambda sent: begins.append(sent) if sent.startswith("BEGIN") else None):
            results, begun = execute_and_begin(harness.store, called(gateway, begun), [second], (1,), [])
        assert len(begins) == 1
        assert [event.key for result in results for event in result.outbox_events] == ["A"]
        with harness.database.begin() as connection:
            states = {row.key: row.state for row in connection.execute(select(JOURNAL))}
        assert states == {"A": "done", "B": "begun"}
        assert [view is not None for _, view in begun] == [True]


def test_a_call_does_not_begin_beside_the_cancellation_that_is_carried_out(payments: Settings) -> None:
    with open_harness(SERVICE, payments, FakeGateway()) as harness:
        cancelled, late = (decoded(harness, harness.enveloped(event)) for event in (annulee(), reserve()))
        results, ((_, view),) = execute_and_begin(harness.store, [cancelled], [late], (1,), [])
        assert view is None
        assert [event.type for result in results for event in result.outbox_events] == ["paiement.rembourse"]


def test_a_reaction_that_raises_keeps_no_call_from_beginning(payments: Settings) -> None:
    with open_harness(SERVICE, payments, FakeGateway()) as harness:
        broken, other = (decoded(harness, harness.enveloped(reserve(key, montant="1.00"))) for key in "AB")
        broken = broken._replace(answer="no answer of the gateway")
        results, ((_, view),) = execute_and_begin(harness.store, [broken], [other], (1,), [])
        assert view is not None
        assert [type(result.verdict).__name__ for result in results] == ["RetryAfter"]


@settings(max_examples=40, deadline=None)
@given(
    st.permutations([reserve(), reserve(), annulee(), annulee()]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["go on", "go on", "crash"]))),
)
def test_in_any_grouping_and_after_any_crash_what_was_charged_is_refunded(
    payments: Settings, events: list[Any], steps: list[tuple[int, int, str]]
) -> None:
    """A crash loses what was called and not committed; the broker delivers it again."""
    gateway = FakeGateway()
    with open_harness(SERVICE, payments, gateway) as harness:
        waiting = [decoded(harness, harness.enveloped(event)) for event in events]
        answered: list[Invocation] = []
        said = []
        while waiting or answered:
            taken, begin, end = steps.pop() if steps else (4, 4, "go on")
            calling, waiting = waiting[:begin], waiting[begin:]
            group, answered = answered[:taken], answered[taken:]
            results, begun = execute_and_begin(harness.store, group, calling, (1,), [])
            said += [event.type for result in results for event in result.outbox_events]
            answered += called(gateway, begun)
            if end == "crash":
                waiting += [invocation._replace(answer=None) for invocation in answered]
                answered = []
        assert said.count("paiement.effectue") <= 1
        assert said.count("paiement.rembourse") == 1
        assert gateway.charged.get(f"paiement:encaisser:{CMD}") is None
        assert harness.inspect()["comptes"]["CLIENT-123"]["solde"] == 100.0
