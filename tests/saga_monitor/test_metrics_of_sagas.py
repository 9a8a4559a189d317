"""The metrics of several sagas: each counts alone, what is of none counts apart, and each step has its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie import Settings
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import AlertWatcher
from tests.saga_monitor.conftest import Monitor
from tests.saga_monitor.memory_stream import CONFIRMED, Line
from tests.saga_monitor.projection.test_several_sagas import HALF_BOOKED
from tests.saga_monitor.several_history import BOOKED, TRAVELLED, several_kinds
from tests.saga_monitor.test_metrics import scraped
from tests.support.several_sagas import SEVERAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Monitor]:
    monitor = Monitor(tmp_path / "several.sqlite3", SEVERAL.saga_set)
    assert monitor.store.acquire()
    yield monitor
    monitor.close()


@pytest.fixture
def watcher(several: Monitor) -> Iterator[AlertWatcher]:
    settings = Settings(monitor_database=several.path, stuck_after=60)
    watcher = AlertWatcher(SEVERAL, settings, Dispatcher([]))
    yield watcher
    watcher.close()


async def test_the_sum_over_the_sagas_is_that_of_all_instances(
    several: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    several_kinds(stream)
    stream.publish("SAME", CONFIRMED)
    await several.read(stream)
    found = scraped(several, watcher)
    started = {name: value for name, value in found.items() if name.startswith("saga_instances_started_total")}
    assert started == {
        "saga_instances_started_total{saga=commande}": 1,
        "saga_instances_started_total{saga=retour}": 3,
        "saga_instances_started_total{saga=voyage}": 2,
    }
    repeated = {name: value for name, value in found.items() if name.startswith("saga_events_repeated_total")}
    assert sum(repeated.values()) == len(CONFIRMED)
    said = {name for name in found if name.startswith("saga_events_total")}
    assert not [name for name in said if "saga=," in name]


async def test_what_is_of_no_saga_is_counted_apart(
    several: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    several_kinds(stream)
    stream.set_aside("stock", b"\x00", "unreadable")
    stream.add(b"\x00", "client.events")
    await several.read(stream)
    found = scraped(several, watcher)
    letters = {name: n for name, n in found.items() if name.startswith("saga_dead_letters_total") and n}
    assert letters == {
        "saga_dead_letters_total{reason=exhausted,saga=retour,service=paiement}": 1,
        "saga_dead_letters_total{reason=unreadable,saga=,service=stock}": 1,
    }
    assert found["saga_entries_ignored_total{reason=unreadable}"] == 1


@pytest.mark.parametrize(
    ("lines", "steps"),
    [
        (HALF_BOOKED[:1], {"vol", "hotel"}),
        (HALF_BOOKED, {"hotel"}),
        (BOOKED, {"reglement"}),
        (TRAVELLED, set()),
    ],
)
async def test_an_instance_in_progress_stands_at_the_steps_whose_answers_it_waits_for(
    several: Monitor, stream: Stream, watcher: AlertWatcher, lines: list[Line], steps: set[str]
) -> None:
    """The step `reglement` is carried out by the service `paiement`."""
    stream.publish("V-1", lines)
    await several.read(stream)
    found = {name: n for name, n in scraped(several, watcher).items() if "in_progress" in name}
    assert {name for name, number in found.items() if number} == {
        f"saga_instances_in_progress{{saga=voyage,step={step}}}" for step in steps
    }
    assert "saga_instances_in_progress{saga=voyage,step=paiement}" not in found
