"""The pipeline of one session: a delivery is acknowledged after its messages are confirmed."""

import asyncio

import pytest

from choregraphie import BrokerUnavailable, DatabaseUnavailable, Settings
from choregraphie.messaging import PublishOutcome
from choregraphie.pipeline.commit import MARK_SECONDS
from choregraphie.testing import open_harness
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline
from tests.support.sample_service import SAMPLE_SERVICE


async def test_an_order_is_answered_and_then_acknowledged(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tag = run.session.deliver(order())
        await until(lambda: run.session.acked == [tag])
        assert run.session.actions == [("consume", ()), ("publish", ("stock.reserve",)), ("ack", (tag,))]
        (said,) = run.session.published
        assert (said.exchange, said.properties.app_id) == ("stock.events", "stock")
        await run.stop()


async def test_nothing_is_acknowledged_before_its_events_are_confirmed(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        tag = run.session.deliver(order())
        await until(lambda: ("publish", ("stock.reserve",)) in run.session.actions)
        await asyncio.sleep(0.05)
        assert run.session.acked == []
        assert run.pending() == ["C"]
        run.session.answering.set()
        await until(lambda: run.session.acked == [tag])
        await run.stop()


@pytest.mark.parametrize("outcome", [PublishOutcome.RETURNED, PublishOutcome.REFUSED, PublishOutcome.UNKNOWN])
async def test_a_message_that_is_not_confirmed_ends_the_session_and_nothing_is_acknowledged(
    settings: Settings, outcome: PublishOutcome
) -> None:
    async with running_pipeline(settings) as run:
        run.session.outcome = lambda message: (
            outcome if message.properties.correlation_id == "C-2" else PublishOutcome.CONFIRMED
        )
        for n in range(3):
            run.session.deliver(order(f"C-{n}"))
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(run.running, 60)
        assert isinstance(caught.value.exceptions[0], BrokerUnavailable)
        assert run.session.acked == []
        assert "C-2" in run.pending()


async def test_events_left_in_the_outbox_are_published_before_anything_is_received(settings: Settings) -> None:
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        harness.hear(order("C-1"), order("C-2"))
        bodies = [said.to_bytes() for said in harness.envelopes]
    async with running_pipeline(settings) as run:
        await until(lambda: ("consume", ()) in run.session.actions)
        assert run.session.actions == [("publish", ("stock.reserve", "stock.reserve")), ("consume", ())]
        assert [message.body for message in run.session.published] == bodies
        await until(lambda: run.pending() == [])
        await run.stop()


async def test_confirmed_events_are_marked_when_nothing_else_arrives(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.deliver(order())
        await until(lambda: bool(run.session.acked))
        await until(lambda: run.pending() == [])
        await run.stop()


async def test_a_worker_that_stops_before_the_mark_still_makes_it(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tag = run.session.deliver(order())
        await until(lambda: run.session.acked == [tag])
        with run.database_busy():
            await asyncio.sleep(2 * MARK_SECONDS)  # the turn of the mark has come, and it waits
            run.stopping.set()
            await asyncio.sleep(0.1)
        await run.stop()
        assert run.pending() == []


async def test_many_deliveries_are_committed_published_and_acknowledged_together(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tags = [run.session.deliver(order(f"C-{n}")) for n in range(300)]
        await until(lambda: sorted(run.session.acked) == tags)
        assert len([action for action, _ in run.session.actions if action == "ack"]) < 30
        assert len(run.session.published) == 300
        await run.stop()


async def test_a_repetition_is_acknowledged_and_publishes_nothing(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tags = [run.session.deliver(order()) for _ in range(50)]
        await until(lambda: sorted(run.session.acked) == tags)
        assert len(run.session.published) == 1
        await run.stop()


async def test_an_unreadable_delivery_is_set_aside_and_then_acknowledged(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tag = run.session.deliver(order(), body=b"nonsense")
        await until(lambda: run.session.acked == [tag])
        (dead_letter,) = run.session.published
        assert (dead_letter.exchange, dead_letter.body, dead_letter.headers["x-saga-reason"]) == (
            "stock.dlx",
            b"nonsense",
            "unreadable",
        )
        await run.stop()


async def test_a_failing_delivery_is_sent_to_a_retry_queue_and_then_acknowledged(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        tag = run.session.deliver(order(client_id="PANNE"))
        await until(lambda: run.session.acked == [tag])
        (retry,) = run.session.published
        assert (retry.exchange, retry.routing_key) == ("stock.retry", "1.commande.initiee")
        assert retry.body == order(client_id="PANNE").to_bytes()
        await run.stop()


async def test_giving_up_publishes_the_refusal_before_the_dead_letter(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        headers = {"x-saga-attempt": 2, "x-saga-exchange": "client.events"}
        tag = run.session.deliver(order(client_id="PANNE"), exchange="stock.requeue", headers=headers)
        await until(lambda: run.session.acked == [tag])
        assert [message.exchange for message in run.session.published] == ["stock.events", "stock.dlx"]
        assert run.session.published[1].headers["x-saga-reason"] == "exhausted"
        await run.stop()


async def test_a_lost_session_ends_the_pipeline(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        await until(lambda: ("consume", ()) in run.session.actions)
        run.session.lose()
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(run.running, 60)
        assert caught.group_contains(BrokerUnavailable)


async def test_stopping_finishes_begun_deliveries_and_requeues_the_others(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        begun = run.session.deliver(order("C-1"))
        await until(lambda: ("publish", ("stock.reserve",)) in run.session.actions)
        run.stopping.set()
        late = run.session.deliver(order("C-2"))
        await until(lambda: late in run.session.requeued)
        assert not run.running.done()
        run.session.answering.set()
        await run.stop()
        assert (run.session.acked, run.session.requeued) == ([begun], [late])
        assert run.pending() == []


async def test_stopping_without_unacknowledged_deliveries_is_immediate(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        await until(lambda: ("consume", ()) in run.session.actions)
        await run.stop()
        assert run.session.requeued == []


async def test_stopping_while_the_database_is_away_at_start_does_not_wait_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("the disk is full")

    monkeypatch.setattr("choregraphie.storage.store.Store.pending", away)
    async with running_pipeline(settings) as run:
        await asyncio.sleep(0.1)
        assert not run.running.done()
        await run.stop()
