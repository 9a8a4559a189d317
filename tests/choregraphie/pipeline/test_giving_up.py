"""A delivery that is given up becomes a dead letter, whatever fails between the commit and the confirm."""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence

import pytest

from choregraphie import Key, ReadView, Settings
from choregraphie.errors import DatabaseUnavailable, Reason
from choregraphie.messaging import ContentHeader, PublishOutcome
from choregraphie.pipeline.decoder import Decoder
from choregraphie.pipeline.executor import execute
from choregraphie.saga.envelope import Event
from choregraphie.service.verdict import DeadLetter, Done
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.store import Store
from choregraphie.testing import ServiceHarness
from tests.support.fake_session import FakeSession, until
from tests.support.lost_replies import LostReplies
from tests.support.running_pipeline import order, running_pipeline
from tests.support.sample_service import SAMPLE_SERVICE


def exchanges(session: FakeSession) -> list[str]:
    return [message.exchange for message in session.published]


async def test_an_unconfirmed_dead_letter_is_published_when_the_message_is_redelivered(
    settings: Settings,
) -> None:
    async with running_pipeline(settings) as first:
        first.session.outcome = lambda m: (
            PublishOutcome.UNKNOWN if m.exchange.endswith(".dlx") else PublishOutcome.CONFIRMED
        )
        first.session.deliver(order("C", "SANS-ESPOIR"))
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(first.running, 60)
        assert first.session.acked == []
    async with running_pipeline(settings) as second:
        tag = second.session.deliver(order("C", "SANS-ESPOIR"), redelivered=True)
        await until(lambda: second.session.acked == [tag])
        assert "stock.dlx" in exchanges(second.session)
        await second.stop()


async def test_a_database_failure_after_the_refusal_loses_no_dead_letter(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, stumbles = Store.commit, iter([True])

    def failing(store: Store, group: Sequence[Invocation], said: Sequence[str] = ()) -> object:
        if [invocation.instance.key for invocation in group] == ["D"] and next(stumbles, False):
            raise DatabaseUnavailable("away for a moment")
        return commit(store, group, said)

    monkeypatch.setattr(Store, "commit", failing)
    async with running_pipeline(settings) as run:
        tags = [run.session.deliver(order(name, "SANS-ESPOIR")) for name in "CD"]
        await until(lambda: sorted(run.session.acked) == tags)
        assert exchanges(run.session).count("stock.dlx") == 2
        await run.stop()


async def test_a_lost_reply_to_the_commit_of_the_refusal_loses_no_dead_letter(
    settings: Settings, lost_replies: LostReplies
) -> None:
    """The worker cannot know that it was committed; on the next try the database says so."""
    async with running_pipeline(settings) as run:
        headers = {"x-saga-attempt": 2, "x-saga-exchange": "client.events"}
        lost_replies.after("outbox", 1)
        tag = run.session.deliver(order(client_id="PANNE"), exchange="stock.requeue", headers=headers)
        await until(lambda: run.session.acked == [tag])
        assert lost_replies.lost == 1
        assert sorted(set(exchanges(run.session))) == ["stock.dlx", "stock.events"]
        await run.stop()


async def test_the_events_of_a_commit_whose_reply_was_lost_are_published_before_the_ack(
    settings: Settings, lost_replies: LostReplies
) -> None:
    async with running_pipeline(settings) as run:
        lost_replies.after("outbox", 1)
        tag = run.session.deliver(order())
        await until(lambda: run.session.acked == [tag])
        assert lost_replies.lost == 1
        assert [action for action, _ in run.session.actions if action != "consume"][-2:] == ["publish", "ack"]
        assert [message.routing_key for message in run.session.published] == ["stock.reserve"]
        await run.stop()


def test_a_delivery_whose_reads_fail_is_refused_too(harness: ServiceHarness) -> None:
    def broken(heard: Event, view: ReadView) -> Iterable[Key]:
        raise KeyError("reads")

    (handler, *others) = SAMPLE_SERVICE.reactions
    harness.decoder = Decoder(
        dataclasses.replace(SAMPLE_SERVICE, reactions=(dataclasses.replace(handler, reads=(broken,)), *others))
    )
    header = ContentHeader({"x-saga-attempt": 2, "x-saga-exchange": "client.events"})
    last = harness.delivery(order())._replace(exchange="stock.requeue", header=header)
    assert [type(event).TYPE for event in harness.deliver(last, tolerate=True)] == ["stock.reservation_echouee"]
    (verdict,) = harness.verdicts
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.EXHAUSTED


def test_giving_up_an_id_that_was_handled_with_another_body_is_a_collision(
    harness: ServiceHarness,
) -> None:
    first = harness.enveloped(order().data, id="e-1")
    harness.deliver(harness.delivery(first))
    other = harness.enveloped(order(client_id="PANNE").data, id="e-1")
    invocation = harness.decoder.decode(harness.delivery(other))
    assert isinstance(invocation, Invocation)
    broken = invocation._replace(failure=KeyError("the call"), attempt=3)
    (result,) = execute(harness.store, [broken], harness.settings.retry_delays, [])
    assert isinstance(result.verdict, DeadLetter)
    assert result.verdict.reason is Reason.ID_COLLISION


def test_a_dead_letter_that_an_operator_sends_back_has_no_effect(harness: ServiceHarness) -> None:
    broken = harness.enveloped(order("C", "SANS-ESPOIR").data)
    harness.deliver(harness.delivery(broken), tolerate=True)
    back = harness.delivery(broken)._replace(exchange="stock.requeue")
    assert harness.deliver(back) == []
    assert [getattr(verdict, "reason", verdict) for verdict in harness.verdicts] == [Reason.EXHAUSTED, Done()]
    assert isinstance(harness.verdicts[0], DeadLetter)
