"""Deliveries that keep coming back are tried one at a time, and whoever was tried longest ago comes first."""

import datetime as dt
from typing import Any

from sqlalchemy import func, select

from choregraphie import Settings
from choregraphie.pipeline.poison import SUSPICIOUS_RETURNS
from choregraphie.saga.envelope import Envelope, Event
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.poison_log import TRIALS
from choregraphie.testing import ServiceHarness, open_harness
from tests.support.fake_session import until
from tests.support.sample_service import TRIAL
from tests.support.session import order, session

BACK: dict[str, Any] = {"headers": {"x-delivery-count": SUSPICIOUS_RETURNS}, "redelivered": True}


def poison_trials(harness: ServiceHarness, *orders: Envelope[Event]) -> list[Invocation]:
    read = [harness.reader.decode(harness.delivery(envelope)) for envelope in orders]
    return [invocation for invocation in read if isinstance(invocation, Invocation)]


def test_who_was_never_tried_comes_first_and_of_these_the_first_that_came(harness: ServiceHarness) -> None:
    held = poison_trials(harness, order("C-1"), order("C-2"), order("C-3"))
    chosen = [harness.store.try_one(held, False) for _ in range(4)]
    assert [invocation.order for invocation in chosen if invocation] == ["C-1", "C-2", "C-3", "C-1"]


def test_who_was_tried_longest_ago_comes_next_however_often_that_was(harness: ServiceHarness) -> None:
    """An innocent whose trials were cut short by something else had to wait until the killers had had as many."""
    innocent, killer, another = poison_trials(harness, order("C-1"), order("C-2"), order("C-3"))
    for _ in range(2):
        harness.store.try_one([innocent], False)
    for one in (killer, another):
        harness.store.try_one([one], False)
    assert harness.store.try_one([another, killer, innocent], False) is innocent


def test_who_was_tried_before_is_put_off(harness: ServiceHarness) -> None:
    first, second = poison_trials(harness, order("C-1"), order("C-2"))
    assert harness.store.try_one([first], True) is first
    assert harness.store.try_one([first], True) is None
    assert harness.store.try_one([first, second], True) is second


def test_trials_are_forgotten_with_the_inbox(harness: ServiceHarness) -> None:
    (only,) = poison_trials(harness, order("C-1"))
    harness.store.try_one([only], True)
    harness.now += dt.timedelta(days=harness.settings.inbox_days + 1)
    assert harness.store.purge() == 1
    assert harness.store.try_one([only], True) is only


async def test_a_suspect_waits_until_the_one_before_is_acknowledged(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        tags = [s.session.bring(order(f"C-{n}"), **BACK) for n in range(3)]
        await until(lambda: ("publish", ("stock.reserve",)) in s.session.deeds)
        innocent = s.session.bring(order("C-9"))
        await until(lambda: "C-9" in s.unsaid())
        assert sorted(s.unsaid()) == ["C-0", "C-9"]
        s.session.answering.set()
        await until(lambda: sorted(s.session.settled) == [*tags, innocent])
        await s.stop()


async def test_copies_of_an_event_are_tried_together(settings: Settings) -> None:
    async with session(settings) as s:
        first = s.session.bring(order("C-0"), **BACK)
        other = s.session.bring(order("C-1"), **BACK)
        copy = s.session.bring(order("C-0"), **BACK)
        await until(lambda: len(s.session.settled) == 3)
        assert s.session.settled == [first, copy, other]
        await s.stop()


async def test_beside_a_suspect_one_return_is_enough_to_be_one(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        s.session.bring(order("C-0"), headers={"x-delivery-count": 1}, redelivered=True)
        await until(lambda: s.unsaid() == ["C-0"])  # alone, once is nothing
        s.session.bring(order("C-1"), **BACK)
        await until(lambda: "C-1" in s.unsaid())
        s.session.bring(order("C-2"), headers={"x-delivery-count": 1}, redelivered=True)
        innocent = s.session.bring(order("C-3"))
        await until(lambda: "C-3" in s.unsaid())
        assert "C-2" not in s.unsaid()
        s.session.answering.set()
        await until(lambda: innocent in s.session.settled and len(s.session.settled) == 4)
        await s.stop()


async def test_a_suspect_that_was_tried_before_has_its_turn_after_the_others(settings: Settings) -> None:
    killer = order("C-0")
    with open_harness(TRIAL, settings) as harness:
        # Its trial began, and the worker died of it.
        harness.store.try_one(poison_trials(harness, killer), True)
    async with session(settings) as s:
        late = s.session.bring(killer, **BACK)
        others = [s.session.bring(order(f"C-{n}"), **BACK) for n in range(1, 4)]
        await until(lambda: late in s.session.settled)
        assert s.session.settled == [*others, late]
        await s.stop()


async def test_a_suspect_whose_call_takes_its_time_does_not_keep_the_others_waiting(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        for n in range(3):
            s.session.bring(order(f"C-{n}"), **BACK)
        # Nothing is settled, and the worker lives: that is enough.
        await until(lambda: len(s.unsaid()) == 3)
        s.session.answering.set()
        await s.stop()


async def test_suspects_that_were_not_tried_are_given_back_at_the_end(settings: Settings) -> None:
    async with session(settings) as s:
        s.session.answering.clear()
        tags = [s.session.bring(order(f"C-{n}"), **BACK) for n in range(20)]
        await until(lambda: ("publish", ("stock.reserve",)) in s.session.deeds)
        s.stopping.set()
        await until(lambda: bool(s.session.given_back))
        s.session.answering.set()
        await s.stop()
        assert set(s.session.settled) | set(s.session.given_back) == set(tags)
        assert len(s.session.given_back) > 10


async def test_a_count_that_a_client_has_sent_makes_nobody_suspicious(settings: Settings) -> None:
    """RabbitMQ 4 passes it on; each trial costs a commit of its own."""
    async with session(settings) as s:
        tag = s.session.bring(order(), headers={"x-delivery-count": 9})
        await until(lambda: s.session.settled == [tag])
        with s.looking() as connection:
            assert connection.execute(select(func.count()).select_from(TRIALS)).scalar_one() == 0
        await s.stop()
