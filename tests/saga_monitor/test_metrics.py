"""The metrics: correct, of bounded number, without keys, and present from the first scrape on."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from choregraphie import Reason, Settings
from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY, dlq, inbox
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import AlertWatcher
from saga_monitor.diagnosis.self_check import behind
from saga_monitor.metrics.exposition import MetricsPage, exposition, registry
from saga_monitor.projection import case_queries
from saga_monitor.records.broker_status import BrokerStatus
from services.application import APP
from tests.saga_monitor.diagnosis.test_anomalies import WELL
from tests.saga_monitor.memory_stream import CONFIRMED, HELD, PLACED, SCENARIOS, UNPAID, Line, event_bytes, undone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga_monitor.alerting.rules import Notice
    from tests.saga_monitor.conftest import Monitor
    from tests.saga_monitor.memory_stream import Stream


@pytest.fixture
def watcher(monitor: Monitor) -> Iterator[AlertWatcher]:
    settings = Settings(monitor_database=monitor.path, stuck_after=60)
    watcher = AlertWatcher(APP, settings, Dispatcher([]))
    yield watcher
    watcher.close()


def broker_status(last_offset: int, **inboxes: QueueCount) -> BrokerStatus:
    queues = WELL | {inbox(name): count for name, count in inboxes.items()} | {HISTORY: QueueCount(1, 1)}
    return BrokerStatus(dt.datetime.now(dt.UTC), queues, last_offset)


def scraped(monitor: Monitor, watcher: AlertWatcher) -> dict[str, float]:
    """Every sample line."""
    text = exposition(registry(monitor.queries, watcher))[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_what_was_heard_is_counted(monitor: Monitor, stream: Stream, watcher: AlertWatcher) -> None:
    for number, scenario in enumerate(SCENARIOS.values()):
        stream.publish(f"CMD-{number}", scenario)
    stream.publish("CMD-WAITS", HELD)
    stream.publish("CMD-HALF", [*UNPAID, *undone("paiement.echoue")[:2]])
    stream.retry("paiement", event_bytes("CMD-WAITS", HELD[1]))
    stream.set_aside("stock", b"\x00", "unreadable")
    stream.set_aside("stock", b"\x00", "any text that somebody made up")
    stream.add(b"\x00", "client.events")
    await monitor.read(stream)
    found = scraped(monitor, watcher)
    assert found["saga_instances_started_total{saga=commande}"] == 9
    assert found["saga_instances_finished_total{outcome=completed,saga=commande}"] == 2
    assert found["saga_instances_finished_total{outcome=compensated,saga=commande}"] == 6
    assert found["saga_compensations_total{saga=commande}"] == 7
    assert found["saga_instances{saga=commande,state=compensated}"] == 6
    assert {n: v for n, v in found.items() if n.startswith("saga_instances_in_progress")} == {
        "saga_instances_in_progress{saga=commande,step=stock}": 0,
        "saga_instances_in_progress{saga=commande,step=paiement}": 2,
        "saga_instances_in_progress{saga=commande,step=commande}": 0,
        "saga_instances_in_progress{saga=commande,step=notification}": 1,
    }
    assert found["saga_retries_total{saga=commande,service=paiement}"] == 1
    assert found["saga_dead_letters_total{reason=unreadable,saga=,service=stock}"] == 1
    assert found["saga_dead_letters_total{reason=other,saga=,service=stock}"] == 1
    assert found["saga_entries_ignored_total{reason=unreadable}"] == 1
    assert found["saga_events_total{saga=commande,type=commande.initiee}"] == 9
    assert not [name for name in found if "CMD-" in name]


async def test_what_never_happened_is_nought_so_that_its_first_time_is_an_increase(monitor: Monitor) -> None:
    """A counter that appears with 1 shows no increase, so no alert on its rate fires."""

    class Hook:
        name = "webhook"

        async def notify(self, notice: Notice) -> None:
            """Never asked to."""

    watched = AlertWatcher(APP, Settings(monitor_database=monitor.path), Dispatcher([Hook()]))
    found = scraped(monitor, watched)
    watched.close()
    reasons = {*(reason.value for reason in Reason), "delivery_limit", "other"}
    for service in CHOREOGRAPHY.services:
        for saga in (CHOREOGRAPHY.name, ""):
            assert found[f"saga_retries_total{{saga={saga},service={service}}}"] == 0
            of = f"saga={saga},service={service}"
            letters = {f"saga_dead_letters_total{{reason={reason},{of}}}" for reason in reasons}
            assert {found[name] for name in letters} == {0}
    for outcome in ("delivered", "dropped", "failed_tries"):
        assert found[f"saga_alert_notices_total{{outcome={outcome},receiver=webhook}}"] == 0
    assert found["saga_alert_notices_total{outcome=delivered,receiver=log}"] == 0
    whys = ("unreadable", "unknown", "untrusted")
    assert {found[f"saga_entries_ignored_total{{reason={why}}}"] for why in whys} == {0}
    assert found["saga_events_total{saga=commande,type=commande.initiee}"] == 0


async def test_durations_are_histograms_in_seconds(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    stream.publish("CMD-1", CONFIRMED)
    stream.publish("CMD-2", [*PLACED, Line("stock.reserve", "commande.initiee", 7_000)])
    await monitor.read(stream)
    found = scraped(monitor, watcher)
    buckets = {name: v for name, v in found.items() if name.startswith("saga_step_duration_seconds_bucket")}
    step = "saga_step_duration_seconds_bucket{{le={},saga=commande,step=stock}}".format
    assert [buckets[step(le)] for le in ("0.05", "0.1", "5.0", "10.0", "+Inf")] == [0, 1, 1, 2, 2]
    assert found["saga_step_duration_seconds_sum{saga=commande,step=stock}"] == 7.1
    assert found["saga_instance_duration_seconds_count{outcome=completed,saga=commande}"] == 1
    assert found["saga_instance_duration_seconds_sum{outcome=completed,saga=commande}"] == 0.35


async def test_counters_never_shrink_whatever_becomes_of_an_order(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    before: dict[str, float] = {}
    for line in SCENARIOS["cancelled after creation"]:
        stream.publish("CMD-1", [line, line])
        await monitor.read(stream)
        now = {n: v for n, v in scraped(monitor, watcher).items() if re.search(r"_(total|bucket|count|sum)\b", n)}
        assert {name for name in before if now[name] < before[name]} == set()
        before = now
    assert before["saga_instances_finished_total{outcome=completed,saga=commande}"] == 1
    assert before["saga_instances_finished_total{outcome=compensated,saga=commande}"] == 1
    assert before["saga_instances_started_total{saga=commande}"] == 1


async def test_the_look_outs_view_is_shown(monitor: Monitor, stream: Stream, watcher: AlertWatcher) -> None:
    stream.publish("CMD-1", HELD)
    stream.publish("CMD-2", [*UNPAID, *undone("paiement.echoue")[:2]])
    await monitor.read(stream)
    with capture_logs() as logs:
        await watcher.check(broker_status(stream.next - 1, paiement=QueueCount(2, 0)))
        await watcher.check(broker_status(stream.next - 1, paiement=QueueCount(2, 0)))
    found = scraped(monitor, watcher)
    stuck = {name: value for name, value in found.items() if name.startswith("saga_instances_stuck{") and value}
    assert stuck == {"saga_instances_stuck{reason=no_consumer,saga=commande}": 2}
    assert found["saga_anomalies{kind=half_undone,saga=commande}"] == 1
    assert found["saga_monitor_broker_up"] == 1
    assert (found["saga_history_lag_entries"], found["saga_history_lag_seconds"]) == (0, 0)
    assert found["saga_alert_notices_total{outcome=delivered,receiver=log}"] == 2
    assert sorted(line["kind"] for line in logs) == ["half_undone", "stuck"]


async def test_the_view_is_counted_whole_though_some_are_looked_at(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_queries, "LOOKED_AT", 5)
    for number in range(20):
        stream.publish(f"CMD-{number}", HELD if number else PLACED)
        stream.set_aside("stock", f"not JSON {number}".encode(), "unreadable")
    await monitor.read(stream)
    answers = broker_status(stream.next - 1, paiement=QueueCount(2, 0))
    queues = {**answers.queues, dlq("stock"): QueueCount(20, 0)}
    await watcher.check(replace(answers, queues=queues))
    found = scraped(monitor, watcher)
    assert len(watcher.view.anomalies) == 10
    assert found["saga_instances_stuck{reason=no_consumer,saga=commande}"] == 19
    assert found["saga_instances_stuck{reason=unresponsive,saga=commande}"] == 1
    assert found["saga_anomalies{kind=stuck,saga=commande}"] == 20
    assert found["saga_anomalies{kind=dead_letter,saga=}"] == 20


async def test_an_order_that_waits_for_two_undoings_is_stuck_once(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    stream.publish("CMD-1", [*UNPAID, *undone("paiement.echoue")[:1]])
    await monitor.read(stream)
    await watcher.check(broker_status(stream.next - 1))
    found = scraped(monitor, watcher)
    assert found["saga_anomalies{kind=half_undone,saga=commande}"] == 2
    assert sum(value for name, value in found.items() if name.startswith("saga_instances_stuck{")) == 1


async def test_a_monitor_that_is_behind_judges_nothing(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    monitor.store.caught_up(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5))
    await watcher.check(broker_status(stream.next + 499))
    found = scraped(monitor, watcher)
    assert found["saga_anomalies{kind=stuck,saga=commande}"] == 0
    assert found["saga_history_lag_entries"] == 500
    assert found["saga_history_lag_seconds"] > 3600


async def test_without_the_broker_it_says_so_and_goes_on(
    monitor: Monitor, stream: Stream, watcher: AlertWatcher
) -> None:
    stream.publish("CMD-1", HELD)
    await monitor.read(stream)
    await watcher.check(None)
    found = scraped(monitor, watcher)
    assert found["saga_monitor_broker_up"] == 0
    assert found["saga_instances_stuck{reason=unknown,saga=commande}"] == 1
    assert "saga_history_lag_entries" not in found
    now = dt.datetime.now(dt.UTC)
    assert behind(monitor.queries, None, now).seconds == 0


async def test_the_page_is_an_application_to_be_mounted(monitor: Monitor, watcher: AlertWatcher) -> None:
    async def visit(method: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await MetricsPage(registry(monitor.queries, watcher))({"type": "http", "method": method}, None, send)
        return sent

    start, body = await visit("GET")
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b"# HELP saga_instances_started_total Instances seen for the first time." in body["body"]
    assert (await visit("HEAD"))[1]["body"] == b""
    assert (await visit("POST"))[0]["status"] == 405
