"""The clock of deadlines follows the system's clock, except when that is set to another time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from choregraphie import Settings
from choregraphie.pipeline.clock import SteadyClock
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.testing import open_harness
from services.commande import SERVICE as COMMANDE
from tests.support.event_builders import initiee
from tests.support.running_pipeline import NOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from choregraphie.testing import ServiceHarness

HOUR = dt.timedelta(hours=1)


class Machine:
    """The two clocks of a machine: wall and monotonic."""

    def __init__(self) -> None:
        self.wall = NOON
        self.monotonic = 1000.0

    def steady(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def runs(self, seconds: float, slower_by: float = 0.0) -> None:
        self.wall += dt.timedelta(seconds=seconds - slower_by)
        self.monotonic += seconds

    def is_set(self, by: dt.timedelta) -> None:
        self.wall += by


def test_it_follows_the_system_clock_and_its_small_corrections() -> None:
    machine = Machine()
    clock = machine.steady()
    for _ in range(100):
        machine.runs(60, slower_by=1)
        assert clock.now() == machine.wall
    assert machine.wall == NOON + dt.timedelta(seconds=5900)


def test_an_hour_forward_and_an_hour_back_are_not_followed_and_are_logged_once_each() -> None:
    for jump in (HOUR, -HOUR):
        machine = Machine()
        clock = machine.steady()
        machine.is_set(jump)
        with capture_logs() as logs:
            for seconds in range(1, 4):
                machine.runs(1)
                assert clock.now() == NOON + dt.timedelta(seconds=seconds)
        assert [(line["event"], line["by_s"]) for line in logs] == [("clock.jumped", jump.total_seconds())]


def test_a_corrected_clock_is_followed_again_and_its_next_jump_is_logged() -> None:
    machine = Machine()
    clock = machine.steady()
    with capture_logs() as logs:
        for jump in (HOUR, -HOUR, -HOUR):
            machine.is_set(jump)
            machine.runs(1)
            clock.now()
    assert [line["by_s"] for line in logs] == [3600.0, -3600.0]
    assert clock.now() == NOON + dt.timedelta(seconds=3)


def test_it_never_goes_back_not_even_for_a_small_correction() -> None:
    machine = Machine()
    clock = machine.steady()
    machine.runs(10)
    before = clock.now()
    machine.is_set(dt.timedelta(seconds=-1.5))
    assert clock.now() == before
    machine.runs(5)
    assert clock.now() == machine.wall > before


def open_store(harness: ServiceHarness, clock: SteadyClock) -> Store:
    return Store(COMMANDE, harness.database, StoreLimits.of(harness.settings), clock.now)


def late(store: Store) -> list[str]:
    """The orders that are cancelled because their deadline passed."""
    (line,) = COMMANDE.timed
    return [outbox_event.key for result in store.tick(line) for outbox_event in result.outbox_events]


def test_no_order_is_late_because_the_clock_was_set(database_for: Callable[[str], str]) -> None:
    machine = Machine()
    with open_harness(COMMANDE, Settings(database_url=database_for("commande"), deadline=900)) as harness:
        store = open_store(harness, machine.steady())
        harness.store = store
        harness.hear(initiee("C"))
        for jump in (HOUR, -2 * HOUR, HOUR):
            machine.is_set(jump)
            machine.runs(200)
            assert late(store) == []
        machine.runs(301)
        assert late(store) == ["C"]


def test_a_worker_that_starts_trusts_the_clock_that_it_finds(database_for: Callable[[str], str]) -> None:
    """A limit: a new process cannot know that the clock was set before it started."""
    machine = Machine()
    with open_harness(COMMANDE, Settings(database_url=database_for("commande"), deadline=900)) as harness:
        harness.store = open_store(harness, machine.steady())
        harness.hear(initiee("C"))
        machine.is_set(HOUR)
        assert late(harness.store) == []
        assert late(open_store(harness, machine.steady())) == ["C"]
