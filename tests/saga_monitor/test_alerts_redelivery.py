"""What a receiver did not take is told to it again, and to nobody else, through every restart."""

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
from tests.saga_monitor.memory_stream import START
from tests.saga_monitor.test_alerts_dispatcher import Hook, anomaly, until

if TYPE_CHECKING:
    from pathlib import Path

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
SECOND = dt.timedelta(seconds=1)


def found() -> dict[str, Alert]:
    return alerts_of([anomaly("held")], START)


def redeliveries(book: AlertStore, now: dt.datetime, *delivered: tuple[str, Notice]) -> list[tuple[str, str, str]]:
    return [(name, notice.status, notice.id) for name, notice in book.redeliveries(delivered, now)]


def test_a_notice_is_owed_until_it_is_taken_through_every_restart(tmp_path: Path) -> None:
    """As after a kill between noting and telling: the next monitor tells it, under the same id."""
    path, names = tmp_path / "monitor.sqlite3", ["webhook", "apprise"]
    killed = AlertStore(path, names)
    (opened,) = killed.update(found(), START, HOUR)
    killed.close()
    book = AlertStore(path, names)
    assert redeliveries(book, START + MINUTE, ("apprise", opened)) == []
    assert redeliveries(book, START + 5 * MINUTE) == [("webhook", "opened", opened.id)]
    assert redeliveries(book, START + 6 * MINUTE) == []
    assert redeliveries(book, START + 10 * MINUTE) == [("webhook", "opened", opened.id)]
    assert redeliveries(book, START + 20 * MINUTE, ("webhook", opened)) == []
    assert book.update(found(), START + 21 * MINUTE, HOUR) == []
    book.close()


def test_a_closing_is_owed_too_though_the_alert_be_open_again(tmp_path: Path) -> None:
    book = AlertStore(tmp_path / "monitor.sqlite3", ["webhook"])
    (opened,) = book.update(found(), START, HOUR)
    (closed,) = book.update({}, START + MINUTE, HOUR)
    (again,) = book.update(found(), START + 2 * MINUTE, HOUR)
    assert (opened.id, again.status) == (closed.id, Status.OPENED)
    late = redeliveries(book, START + 10 * MINUTE)
    assert sorted(late) == [("webhook", "closed", closed.id), ("webhook", "opened", again.id)]
    assert redeliveries(book, START + 20 * MINUTE, ("webhook", closed), ("webhook", again)) == []
    assert book.update({}, START + 21 * MINUTE, HOUR)
    # Nobody wants to hear of it days later.
    assert redeliveries(book, START + 50 * HOUR) == [("webhook", "closed", again.id)]
    assert redeliveries(book, START + 51 * HOUR) == []
    book.close()


async def test_what_was_dropped_is_told_again_to_whoever_dropped_it_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "backoff", lambda _: 0.01)

    class Quick:
        name = "quick"
        heard = 0

        async def notify(self, notice: Notice) -> None:
            self.heard += 1

    quick, away = Quick(), True
    hook = Hook(lambda _: 503 if away else 200)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient() as client:
        both = Dispatcher([Webhook(url, client), quick])
        book = AlertStore(tmp_path / "monitor.sqlite3", both.names)
        running = asyncio.create_task(both.run())
        with capture_logs() as logs:
            both.notify(book.update(found(), START, HOUR))
            await until(lambda: both.counts["webhook", "dropped"] == quick.heard == 1)
            assert book.redeliveries(both.delivered(), START + REDELIVER_AFTER - SECOND) == []
            undelivered = book.redeliveries(both.delivered(), START + REDELIVER_AFTER)
            assert [(name, notice.status) for name, notice in undelivered] == [("webhook", "opened")]
            away = False
            both.redeliver(undelivered)
            await until(lambda: both.counts["webhook", "told"] == 1)
        assert book.redeliveries(both.delivered(), START + HOUR) == []
        assert (quick.heard, len(hook.delivered)) == (1, 1)
        assert [line["event"] for line in logs] == ["alert.opened", "alert.dropped"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        book.close()
