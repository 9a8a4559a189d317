"""Deliveries that are returned again and again are tried one at a time, the one with the oldest trial first."""

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
from tests.support.running_pipeline import order, running_pipeline
from tests.support.sample_service import SAMPLE_SERVICE

BACK: dict[str, Any] = {"headers": {"x-delivery-count": SUSPICIOUS_RETURNS}, "redelivered": True}


def poison_trials(harness: ServiceHarness, *orders: Envelope[Event]) -> list[Invocation]:
    read = [harness.decoder.decode(harness.delivery(envelope)) for envelope in orders]
    return [invocation for invocation in read if isinstance(invocation, Invocation)]


def test_untried_deliveries_come_first_in_the_order_of_arrival(harness: ServiceHarness) -> None:
    held = poison_trials(harness, order("C-1"), order("C-2"), order("C-3"))
    chosen = [harness.store.choose_suspect(held, untried=False) for _ in range(4)]
    assert [invocation.instance.key for invocation in chosen if invocation] == ["C-1", "C-2", "C-3", "C-1"]


def test_the_oldest_trial_comes_next_however_many_there_were(harness: ServiceHarness) -> None:
    """Otherwise a harmless delivery with several interrupted trials would wait until the killers had as many."""
    innocent, killer, another = poison_trials(harness, order("C-1"), order("C-2"), order("C-3"))
    for _ in range(2):
        harness.store.choose_suspect([innocent], untried=False)
    for one in (killer, another):
        harness.store.choose_suspect([one], untried=False)
    assert harness.store.choose_suspect([another, killer, innocent], untried=False) is innocent


def test_a_delivery_that_was_tried_before_is_delayed(harness: ServiceHarness) -> None:
    first, second = poison_trials(harness, order("C-1"), order("C-2"))
    assert harness.store.choose_suspect([first], untried=True) is first
    assert harness.store.choose_suspect([first], untried=True) is None
    assert harness.store.choose_suspect([first, second], untried=True) is second


def test_the_first_untried_one_is_found_behind_any_number_of_tried_ones(harness: ServiceHarness) -> None:
    held = poison_trials(harness, *(order(f"C-{number}") for number in range(9)))
    chosen = [harness.store.choose_suspect(held, untried=True) for _ in range(10)]
    assert chosen == [*held, None]


def test_trials_expire_with_the_inbox(harness: ServiceHarness) -> None:
    (only,) = poison_trials(harness, order("C-1"))
    harness.store.choose_suspect([only], untried=True)
    harness.now += dt.timedelta(days=harness.settings.inbox_days + 1)
    assert harness.store.purge() == 1
    assert harness.store.choose_suspect([only], untried=True) is only


async def test_a_suspicious_delivery_waits_until_the_one_before_is_acknowledged(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        tags = [run.session.deliver(order(f"C-{n}"), **BACK) for n in range(3)]
        await until(lambda: ("publish", ("stock.reserve",)) in run.session.actions)
        innocent = run.session.deliver(order("C-9"))
        await until(lambda: "C-9" in run.pending())
        assert sorted(run.pending()) == ["C-0", "C-9"]
        run.session.answering.set()
        await until(lambda: sorted(run.session.acked) == [*tags, innocent])
        await run.stop()


async def test_copies_of_an_event_are_tried_together(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        first = run.session.deliver(order("C-0"), **BACK)
        other = run.session.deliver(order("C-1"), **BACK)
        copy = run.session.deliver(order("C-0"), **BACK)
        await until(lambda: len(run.session.acked) == 3)
        assert run.session.acked == [first, copy, other]
        await run.stop()


async def test_beside_a_suspicious_delivery_one_return_is_enough(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        run.session.deliver(order("C-0"), headers={"x-delivery-count": 1}, redelivered=True)
        await until(lambda: run.pending() == ["C-0"])  # alone, once is nothing
        run.session.deliver(order("C-1"), **BACK)
        await until(lambda: "C-1" in run.pending())
        run.session.deliver(order("C-2"), headers={"x-delivery-count": 1}, redelivered=True)
        innocent = run.session.deliver(order("C-3"))
        await until(lambda: "C-3" in run.pending())
        assert "C-2" not in run.pending()
        run.session.answering.set()
        await until(lambda: innocent in run.session.acked and len(run.session.acked) == 4)
        await run.stop()


async def test_a_delivery_that_was_tried_before_comes_after_the_others(settings: Settings) -> None:
    killer = order("C-0")
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        # Its trial began, and the worker died.
        harness.store.choose_suspect(poison_trials(harness, killer), untried=True)
    async with running_pipeline(settings) as run:
        late = run.session.deliver(killer, **BACK)
        others = [run.session.deliver(order(f"C-{n}"), **BACK) for n in range(1, 4)]
        await until(lambda: late in run.session.acked)
        assert run.session.acked == [*others, late]
        await run.stop()


async def test_a_delivery_on_trial_with_a_slow_call_does_not_delay_the_others(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        for n in range(3):
            run.session.deliver(order(f"C-{n}"), **BACK)
        # Nothing is acknowledged, and the worker is alive: that is enough.
        await until(lambda: len(run.pending()) == 3)
        run.session.answering.set()
        await run.stop()


async def test_untried_deliveries_are_requeued_at_the_end(settings: Settings) -> None:
    async with running_pipeline(settings) as run:
        run.session.answering.clear()
        tags = [run.session.deliver(order(f"C-{n}"), **BACK) for n in range(20)]
        await until(lambda: ("publish", ("stock.reserve",)) in run.session.actions)
        run.stopping.set()
        await until(lambda: bool(run.session.requeued))
        run.session.answering.set()
        await run.stop()
        assert set(run.session.acked) | set(run.session.requeued) == set(tags)
        assert len(run.session.requeued) > 10


async def test_a_count_that_a_client_sent_makes_no_delivery_suspicious(settings: Settings) -> None:
    """RabbitMQ 4 passes it on, and each trial costs a commit."""
    async with running_pipeline(settings) as run:
        tag = run.session.deliver(order(), headers={"x-delivery-count": 9})
        await until(lambda: run.session.acked == [tag])
        with run.reading_beside() as connection:
            assert connection.execute(select(func.count()).select_from(TRIALS)).scalar_one() == 0
        await run.stop()
