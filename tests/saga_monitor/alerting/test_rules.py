"""Alerts open once, are repeated seldom, and close when their anomaly is over."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from choregraphie.saga.envelope import Instance
from saga_monitor.alerting.rules import ALL_KINDS, Alert, Status, alerts_of, judged_kinds, path_of
from saga_monitor.alerting.store import AlertStore
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.memory_stream import START
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


def anomaly(
    order: str = "CMD-1", kind: Kind = Kind.STUCK, service: str = "stock", reason: str = "unresponsive"
) -> Anomaly:
    return Anomaly(kind, *order_with(order), service, START, reason, f"{order} waits")


def alerts(*anomalies: Anomaly, now: dt.datetime = START) -> dict[str, Alert]:
    return alerts_of(anomalies, now)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlertStore]:
    store = AlertStore(tmp_path / "monitor.sqlite3")
    yield store
    store.close()


def told(
    store: AlertStore, found: dict[str, Alert], now: dt.datetime, kinds: Collection[str] = ALL_KINDS
) -> list[tuple[str, str]]:
    return [(notice.status, notice.alert.key) for notice in store.update(found, now, HOUR, kinds)]


def test_many_orders_with_one_anomaly_are_one_alert() -> None:
    (alert,) = alerts(*(anomaly(f"CMD-{n}") for n in range(900))).values()
    assert (alert.count, len(alert.instances), alert.key) == (900, 5, "stuck/stock/unresponsive")
    assert len(alerts(anomaly(), anomaly(service="paiement"), anomaly(reason="no_consumer"))) == 3


@pytest.mark.parametrize(
    "quiet",
    [
        anomaly(reason="retrying"),
        anomaly(reason="queued"),
        anomaly(reason="no_beginning"),
        anomaly(kind=Kind.REPEATED_START),
    ],
)
def test_an_anomaly_that_resolves_itself_is_no_alert(quiet: Anomaly) -> None:
    assert alerts(quiet) == {}


def test_a_contradiction_expires() -> None:
    for_ever = anomaly(kind=Kind.CONTRADICTION)
    assert alerts(for_ever, now=START + 23 * HOUR)
    assert not alerts(for_ever, now=START + 25 * HOUR)


def test_an_alert_is_opened_once_repeated_seldom_and_closed_when_over(store: AlertStore) -> None:
    found = alerts(anomaly())
    key = "stuck/stock/unresponsive"
    assert told(store, found, START) == [(Status.OPENED, key)]
    assert told(store, found, START + MINUTE) == []
    assert told(store, found, START + HOUR) == [(Status.REPEATED, key)]
    assert told(store, found, START + HOUR + MINUTE) == []
    assert told(store, {}, START + HOUR + 2 * MINUTE) == [(Status.CLOSED, key)]
    assert told(store, {}, START + HOUR + 3 * MINUTE) == []
    assert told(store, found, START + 2 * HOUR) == [(Status.OPENED, key)]


def test_a_flickering_alert_stays_open(store: AlertStore) -> None:
    found = alerts(anomaly())
    told(store, found, START)
    for second in (10, 20, 25):
        assert told(store, {}, START + dt.timedelta(seconds=second)) == []
    assert told(store, found, START + dt.timedelta(seconds=29)) == []


def test_a_restart_and_a_second_monitor_send_no_second_notice(store: AlertStore, tmp_path: Path) -> None:
    found = alerts(anomaly())
    assert told(store, found, START)
    for _ in range(2):
        other = AlertStore(tmp_path / "monitor.sqlite3")
        assert told(other, found, START + MINUTE) == []
        other.close()
    assert told(store, {}, START + 5 * MINUTE) == [(Status.CLOSED, "stuck/stock/unresponsive")]


def test_an_alert_that_grows_a_thousandfold_is_repeated_at_once(store: AlertStore) -> None:
    def shown_timeline(count: int) -> dict[str, Alert]:
        return alerts(*(anomaly(f"CMD-{n}") for n in range(count)))

    key = "stuck/stock/unresponsive"
    told(store, shown_timeline(1), START)
    assert told(store, shown_timeline(9), START + MINUTE) == []
    assert told(store, shown_timeline(1001), START + 2 * MINUTE) == [(Status.REPEATED, key)]
    assert told(store, shown_timeline(1002), START + 3 * MINUTE) == []
    assert told(store, shown_timeline(1001), START + 62 * MINUTE) == [(Status.REPEATED, key)]


def test_an_alert_of_a_kind_that_was_not_judged_keeps_its_state(store: AlertStore) -> None:
    stuck, contradiction = anomaly(), anomaly(kind=Kind.CONTRADICTION, reason="said_twice")
    told(store, alerts(stuck, contradiction), START)
    blind = judged_kinds(caught_up=True, asked=False)
    others = alerts(anomaly(reason="unknown"), anomaly(kind=Kind.DEAD_LETTER, reason="invalid"))
    for minute in range(1, 90, 5):
        kinds = [key for _, key in told(store, others, START + minute * MINUTE, blind)]
        assert kinds == (["contradiction/stock/said_twice"] if minute == 1 else [])
    assert told(store, alerts(stuck), START + 89 * MINUTE) == [(Status.REPEATED, "stuck/stock/unresponsive")]
    assert told(store, {}, START + 90 * MINUTE) == [(Status.CLOSED, "stuck/stock/unresponsive")]


def test_a_monitor_that_is_behind_only_reports_that() -> None:
    assert judged_kinds(caught_up=False, asked=True) == {Kind.BLIND}


def test_a_notice_keeps_its_id_from_the_opening_to_the_closing(store: AlertStore) -> None:
    (opened,) = store.update(alerts(anomaly()), START, HOUR)
    (closed,) = store.update({}, START + HOUR, HOUR)
    assert (
        opened.as_json(SAGAS)["id"]
        == closed.as_json(SAGAS)["id"]
        == "stuck/stock/unresponsive@2024-11-22T18:47:00.000Z"
    )
    assert closed.alert == opened.alert
    assert json.loads(json.dumps(opened.as_json(SAGAS))) == {
        "id": "stuck/stock/unresponsive@2024-11-22T18:47:00.000Z",
        "status": "opened",
        "at": "2024-11-22T18:47:00.000Z",
        "opened_at": "2024-11-22T18:47:00.000Z",
        "severity": "warning",
        "kind": "stuck",
        "service": "stock",
        "reason": "unresponsive",
        "count": 1,
        "orders": ["CMD-1"],
        "instances": [{"saga": "commande", "key": "CMD-1"}],
        "since": "2024-11-22T18:47:00.000Z",
        "sentence": "CMD-1 waits",
    }


@pytest.mark.parametrize(
    ("instance", "path"), [(Instance("retour", "R-1"), "retour/R-1"), (Instance("", "R-1"), "R-1")]
)
def test_an_instance_without_a_known_saga_is_named_by_its_key(instance: Instance, path: str) -> None:
    assert path_of(instance) == path
