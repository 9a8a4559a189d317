"""A notice that a receiver did not take is sent to it again, and to no other, through every restart."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import httpx
import pytest
from structlog.testing import capture_logs

from saga_monitor.alerting import dispatcher
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.notifiers import Webhook
from saga_monitor.alerting.rules import Alert, Notice, Status, alerts_of
from saga_monitor.alerting.store import REDELIVER_AFTER, AlertStore
from tests.saga_monitor.alerting.test_dispatcher import WebhookServer, anomaly, until
from tests.saga_monitor.memory_stream import START
from tests.support.order_saga import SAGAS

if TYPE_CHECKING:
    from pathlib import Path

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
SECOND = dt.timedelta(seconds=1)


def found() -> dict[str, Alert]:
    return alerts_of([anomaly("held")], START)


def redeliveries(
    store: AlertStore, now: dt.datetime, *delivered: tuple[str, Notice]
) -> list[tuple[str, str, str]]:
    return [(name, notice.status, notice.id) for name, notice in store.redeliveries(delivered, now)]


def test_a_notice_is_sent_again_until_it_is_taken_through_every_restart(tmp_path: Path) -> None:
    """As after a kill between storing and sending: the next monitor sends it, with the same id."""
    path, names = tmp_path / "monitor.sqlite3", ["webhook", "apprise"]
    killed = AlertStore(path, names)
    (opened,) = killed.update(found(), START, HOUR)
    killed.close()
    store = AlertStore(path, names)
    assert redeliveries(store, START + MINUTE, ("apprise", opened)) == []
    assert redeliveries(store, START + 5 * MINUTE) == [("webhook", "opened", opened.id)]
    assert redeliveries(store, START + 6 * MINUTE) == []
    assert redeliveries(store, START + 10 * MINUTE) == [("webhook", "opened", opened.id)]
    assert redeliveries(store, START + 20 * MINUTE, ("webhook", opened)) == []
    assert store.update(found(), START + 21 * MINUTE, HOUR) == []
    store.close()


def test_a_closing_is_sent_again_too_even_if_the_alert_is_open_again(tmp_path: Path) -> None:
    store = AlertStore(tmp_path / "monitor.sqlite3", ["webhook"])
    (opened,) = store.update(found(), START, HOUR)
    (closed,) = store.update({}, START + MINUTE, HOUR)
    (again,) = store.update(found(), START + 2 * MINUTE, HOUR)
    assert (opened.id, again.status) == (closed.id, Status.OPENED)
    late = redeliveries(store, START + 10 * MINUTE)
    assert sorted(late) == [("webhook", "closed", closed.id), ("webhook", "opened", again.id)]
    assert redeliveries(store, START + 20 * MINUTE, ("webhook", closed), ("webhook", again)) == []
    assert store.update({}, START + 21 * MINUTE, HOUR)
    # A closing is not sent days later.
    assert redeliveries(store, START + 50 * HOUR) == [("webhook", "closed", again.id)]
    assert redeliveries(store, START + 51 * HOUR) == []
    store.close()


async def test_a_dropped_notice_is_sent_again_by_the_notifier_that_dropped_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "backoff", lambda _: 0.01)

    class Quick:
        name = "quick"
        heard = 0

        async def notify(self, notice: Notice) -> None:
            self.heard += 1

    quick, away = Quick(), True
    hook = WebhookServer(lambda _: 503 if away else 200)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient() as client:
        both = Dispatcher([Webhook(url, client, SAGAS), quick])
        store = AlertStore(tmp_path / "monitor.sqlite3", both.names)
        running = asyncio.create_task(both.run())
        with capture_logs() as logs:
            both.notify(store.update(found(), START, HOUR))
            await until(lambda: both.counts["webhook", "dropped"] == quick.heard == 1)
            assert store.redeliveries(both.delivered(), START + REDELIVER_AFTER - SECOND) == []
            undelivered = store.redeliveries(both.delivered(), START + REDELIVER_AFTER)
            assert [(name, notice.status) for name, notice in undelivered] == [("webhook", "opened")]
            away = False
            both.redeliver(undelivered)
            await until(lambda: both.counts["webhook", "delivered"] == 1)
        assert store.redeliveries(both.delivered(), START + HOUR) == []
        assert (quick.heard, len(hook.delivered)) == (1, 1)
        assert [line["event"] for line in logs] == ["alert.opened", "alert.dropped"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        store.close()
