"""What is given up reaches the dead letters, whatever breaks between the commit and the confirm."""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence

import pytest

from choregraphie import Key, ReadView, Settings
from choregraphie.errors import DatabaseUnavailable, Reason
from choregraphie.messaging import PublishOutcome
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


def exchanges(door: FakeSession) -> list[str]:
    return [message.exchange for message in door.published]


async def test_a_dead_letter_that_was_not_confirmed_is_published_when_the_message_comes_again(
    settings: Settings,
) -> None:
    async with running_pipeline(settings) as first:
        first.session.outcome = lambda m: (
            PublishOutcome.UNKNOWN if m.exchange.endswith(".dlx") else PublishOutcome.CONFIRMED
        )
        first.session.deliver(order("C", "SANS-ESPOIR"))
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(first.running, 10)
        assert first.session.acked == []
    async with running_pipeline(settings) as second:
        tag = second.session.deliver(order("C", "SANS-ESPOIR"), redelivered=True)
        await until(lambda: second.session.acked == [tag])
        assert "stock.dlx" in exchanges(second.session)
        await second.stop()


async def test_a_database_that_stumbles_after_the_refusal_takes_no_dead_letter_with_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, stumbles = Store.commit, iter([True])

    def stumbling(store: Store, group: Sequence[Invocation], said: Sequence[str] = ()) -> object:
        if [invocation.order for invocation in group] == ["D"] and next(stumbles, False):
            raise DatabaseUnavailable("away for a moment")
        return commit(store, group, said)

    monkeypatch.setattr(Store, "commit", stumbling)
    async with running_pipeline(settings) as run:
        tags = [run.session.deliver(order(name, "SANS-ESPOIR")) for name in "CD"]
        await until(lambda: sorted(run.session.acked) == tags)
        assert exchanges(run.session).count("stock.dlx") == 2
        await run.stop()


async def test_a_reply_to_the_commit_of_the_refusal_that_is_lost_takes_no_dead_letter_with_it(
    settings: Settings, lost_replies: LostReplies
) -> None:
    """The worker cannot know that it was committed; asked again, the books say that it was."""
    async with running_pipeline(settings) as run:
        headers = {"x-saga-attempt": 2, "x-saga-exchange": "client.events"}
        lost_replies.after("outbox", 1)
        tag = run.session.deliver(order(client_id="PANNE"), exchange="stock.requeue", headers=headers)
        await until(lambda: run.session.acked == [tag])
        assert lost_replies.lost == 1
        assert sorted(set(exchanges(run.session))) == ["stock.dlx", "stock.events"]
        await run.stop()


async def test_what_a_commit_decided_whose_reply_was_lost_is_said_before_it_is_acknowledged(
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


def test_what_its_reads_broke_on_is_refused_all_the_same(harness: ServiceHarness) -> None:
    def broken(heard: Event, look: ReadView) -> Iterable[Key]:
        raise KeyError("reads")

    (handler, *others) = SAMPLE_SERVICE.reactions
    harness.reader = Decoder(
        dataclasses.replace(SAMPLE_SERVICE, reactions=(dataclasses.replace(handler, reads=(broken,)), *others))
    )
    last = harness.delivery(order())._replace(
        exchange="stock.requeue", headers={"x-saga-attempt": 2, "x-saga-exchange": "client.events"}
    )
    assert [type(event).TYPE for event in harness.deliver(last, tolerate=True)] == ["stock.reservation_echouee"]
    (verdict,) = harness.verdicts
    assert isinstance(verdict, DeadLetter)
    assert verdict.reason is Reason.EXHAUSTED


def test_given_up_under_an_id_that_came_before_with_another_body_it_is_a_collision(
    harness: ServiceHarness,
) -> None:
    first = harness.enveloped(order().data, id="e-1")
    harness.deliver(harness.delivery(first))
    other = harness.enveloped(order(client_id="PANNE").data, id="e-1")
    invocation = harness.reader.decode(harness.delivery(other))
    assert isinstance(invocation, Invocation)
    broken = invocation._replace(failure=KeyError("the call"), attempt=3)
    (result,) = execute(harness.store, [broken], harness.settings.retry_delays, [])
    assert isinstance(result.verdict, DeadLetter)
    assert result.verdict.reason is Reason.ID_COLLISION


def test_sent_back_by_an_operator_it_stays_without_effect(harness: ServiceHarness) -> None:
    broken = harness.enveloped(order("C", "SANS-ESPOIR").data)
    harness.deliver(harness.delivery(broken), tolerate=True)
    back = harness.delivery(broken)._replace(exchange="stock.requeue")
    assert harness.deliver(back) == []
    assert [getattr(verdict, "reason", verdict) for verdict in harness.verdicts] == [Reason.EXHAUSTED, Done()]
    assert isinstance(harness.verdicts[0], DeadLetter)
