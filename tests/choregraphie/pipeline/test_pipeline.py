"""The pipeline of one session: nothing is acknowledged before what follows from it is confirmed."""

import asyncio

import pytest

from choregraphie import BrokerUnavailable, DatabaseUnavailable, Settings
from choregraphie.messaging import PublishOutcome
from choregraphie.pipeline.commit import MARK_SECONDS
from choregraphie.testing import open_harness
from tests.support.fake_session import until
from tests.support.sample_service import TRIAL
from tests.support.session import order, session


async def test_an_order_is_said_and_then_acknowledged(settings: Settings) -> None:
    async with session(settings) as s:
        tag = s.session.bring(order())
        await until(lambda: s.session.settled == [tag])
        assert s.session.deeds == [("consume", ()), ("publish", ("stock.reserve",)), ("settle", (tag,))]
        (said,) = s.session.published
        assert (said.exchange, said.properties.app_id) == ("stock.events", "stock")
        await s.stop()


async def test_nothing_is_acknowledged_before_its_events_are_confirmed(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        tag = s.session.bring(order())
        await until(lambda: ("publish", ("stock.reserve",)) in s.session.deeds)
        await asyncio.sleep(0.05)
        assert s.session.settled == []
        assert s.unsaid() == ["C"]
        s.session.answering.set()
        await until(lambda: s.session.settled == [tag])
        await s.stop()


@pytest.mark.parametrize("outcome", [PublishOutcome.RETURNED, PublishOutcome.REFUSED, PublishOutcome.UNKNOWN])
async def test_a_message_that_is_not_confirmed_ends_the_session_and_nothing_is_acknowledged(
    settings: Settings, outcome: PublishOutcome
) -> None:
    async with session(settings) as s:
        s.session.outcome = lambda message: (
            outcome if message.properties.correlation_id == "C-2" else PublishOutcome.CONFIRMED
        )
        for n in range(3):
            s.session.bring(order(f"C-{n}"))
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(s.running, 10)
        assert isinstance(caught.value.exceptions[0], BrokerUnavailable)
        assert s.session.settled == []
        assert "C-2" in s.unsaid()


async def test_what_was_decided_and_not_said_is_said_before_anything_is_heard(settings: Settings) -> None:
    with open_harness(TRIAL, settings) as harness:
        harness.hear(order("C-1"), order("C-2"))
        bodies = [said.to_bytes() for said in harness.envelopes]
    async with session(settings) as s:
        await until(lambda: ("consume", ()) in s.session.deeds)
        assert s.session.deeds == [("publish", ("stock.reserve", "stock.reserve")), ("consume", ())]
        assert [message.body for message in s.session.published] == bodies
        await until(lambda: s.unsaid() == [])
        await s.stop()


async def test_events_confirmed_are_marked_when_nothing_else_comes(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.bring(order())
        await until(lambda: bool(s.session.settled))
        await until(lambda: s.unsaid() == [])
        await s.stop()


async def test_who_leaves_before_the_mark_is_made_makes_it_all_the_same(settings: Settings) -> None:
    async with session(settings) as s:
        tag = s.session.bring(order())
        await until(lambda: s.session.settled == [tag])
        with s.database_busy():
            await asyncio.sleep(2 * MARK_SECONDS)  # the turn of the mark has come, and it waits
            s.stopping.set()
            await asyncio.sleep(0.1)
        await s.stop()
        assert s.unsaid() == []


async def test_many_are_committed_published_and_acknowledged_together(settings: Settings) -> None:
    async with session(settings) as s:
        tags = [s.session.bring(order(f"C-{n}")) for n in range(300)]
        await until(lambda: sorted(s.session.settled) == tags)
        assert len([deed for deed, _ in s.session.deeds if deed == "settle"]) < 30
        assert len(s.session.published) == 300
        await s.stop()


async def test_a_repetition_is_acknowledged_and_said_no_more(settings: Settings) -> None:
    async with session(settings) as s:
        tags = [s.session.bring(order()) for _ in range(50)]
        await until(lambda: sorted(s.session.settled) == tags)
        assert len(s.session.published) == 1
        await s.stop()


async def test_what_cannot_be_read_is_set_aside_and_then_acknowledged(settings: Settings) -> None:
    async with session(settings) as s:
        tag = s.session.bring(order(), body=b"nonsense")
        await until(lambda: s.session.settled == [tag])
        (letter,) = s.session.published
        assert (letter.exchange, letter.body, letter.headers["x-saga-reason"]) == (
            "stock.dlx",
            b"nonsense",
            "unreadable",
        )
        await s.stop()


async def test_what_breaks_is_sent_round_for_another_try_and_then_acknowledged(settings: Settings) -> None:
    async with session(settings) as s:
        tag = s.session.bring(order(client_id="PANNE"))
        await until(lambda: s.session.settled == [tag])
        (retry,) = s.session.published
        assert (retry.exchange, retry.routing_key) == ("stock.retry", "1.commande.initiee")
        assert retry.body == order(client_id="PANNE").to_bytes()
        await s.stop()


async def test_giving_up_publishes_the_refusal_before_the_dead_letter(settings: Settings) -> None:
    async with session(settings) as s:
        headers = {"x-saga-attempt": 2, "x-saga-exchange": "client.events"}
        tag = s.session.bring(order(client_id="PANNE"), exchange="stock.requeue", headers=headers)
        await until(lambda: s.session.settled == [tag])
        assert [message.exchange for message in s.session.published] == ["stock.events", "stock.dlx"]
        assert s.session.published[1].headers["x-saga-reason"] == "exhausted"
        await s.stop()


async def test_a_lost_session_ends_the_pipeline(settings: Settings) -> None:
    async with session(settings) as s:
        await until(lambda: ("consume", ()) in s.session.deeds)
        s.session.lose()
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(s.running, 10)
        assert caught.group_contains(BrokerUnavailable)


async def test_stopping_finishes_what_was_begun_and_gives_back_what_was_not(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        begun = s.session.bring(order("C-1"))
        await until(lambda: ("publish", ("stock.reserve",)) in s.session.deeds)
        s.stopping.set()
        late = s.session.bring(order("C-2"))
        await until(lambda: late in s.session.given_back)
        assert not s.running.done()
        s.session.answering.set()
        await s.stop()
        assert (s.session.settled, s.session.given_back) == ([begun], [late])
        assert s.unsaid() == []


async def test_stopping_when_nothing_is_in_hand_is_immediate(settings: Settings) -> None:
    async with session(settings) as s:
        await until(lambda: ("consume", ()) in s.session.deeds)
        await s.stop()
        assert s.session.given_back == []


async def test_stopping_while_the_database_is_away_at_start_does_not_wait_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("the disk is full")

    monkeypatch.setattr("choregraphie.storage.store.Store.unsaid", away)
    async with session(settings) as s:
        await asyncio.sleep(0.1)
        assert not s.running.done()
        await s.stop(within_seconds=5)
