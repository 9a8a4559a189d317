"""Receivers that drop, delay and fail get a notice in the end, or it is dropped and logged; none delays others."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from choregraphie import BadSetting, Settings
from saga_monitor.alerting import dispatcher
from saga_monitor.alerting.dispatcher import QUEUE_LIMIT, Dispatcher, open_dispatcher
from saga_monitor.alerting.notifiers import Apprise
from saga_monitor.alerting.rules import alerts_of
from saga_monitor.alerting.store import AlertStore
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.memory_stream import START
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from saga_monitor.alerting.rules import Notice

HOUR = dt.timedelta(hours=1)
# Apprise imports all its plugins at its first use.
APPRISES_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlertStore]:
    store = AlertStore(tmp_path / "monitor.sqlite3")
    yield store
    store.close()


def anomaly(reason: str) -> Anomaly:
    return Anomaly(Kind.STUCK, *order_with("CMD-1"), "stock", START, reason, "CMD-1 waits")


class WebhookServer:
    """A small HTTP server. `behave` gives the answer to each request: a status, None to drop it, or a delay."""

    def __init__(self, behave: Callable[[int], int | float | None]) -> None:
        self._behave = behave
        self.asked = 0
        self.delivered: list[dict[str, Any]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            body = json.loads(await reader.readexactly(length))
            self.asked += 1
            said = self._behave(self.asked)
            if isinstance(said, float):
                await asyncio.sleep(said)
            elif said is not None:
                if said < 300:
                    self.delivered.append(body)
                writer.write(f"HTTP/1.1 {said} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def webhook_server(
    behave: Callable[[int], int | float | None], **settings: Any
) -> AsyncIterator[tuple[WebhookServer, Dispatcher]]:
    hook = WebhookServer(behave)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/secret-token"
    async with server, open_dispatcher(Settings(alert_webhook=url, **settings), SAGAS) as opened:
        running = asyncio.create_task(opened.run())
        yield hook, opened
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "backoff", lambda _: 0.01)


def notices(store: AlertStore, count: int = 1) -> Sequence[Notice]:
    return store.update(alerts_of((anomaly(f"r{n}") for n in range(count)), START), START, HOUR)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def test_a_webhook_is_sent_json_and_the_notice_is_logged(store: AlertStore) -> None:
    with capture_logs() as logs:
        async with webhook_server(lambda _: 204) as (hook, opened):
            opened.notify(notices(store))
            await until(lambda: opened.counts["webhook", "delivered"] == 1)
    assert hook.delivered[0]["status"] == "opened"
    (line,) = [line for line in logs if line["event"] == "alert.opened"]
    assert (line["kind"], line["reason"], line["sentence"]) == ("stuck", "r0", "CMD-1 waits")
    assert "secret-token" not in repr(logs)


@pytest.mark.parametrize("flaw", [500, 429, None])
async def test_a_flaky_webhook_is_retried_until_it_takes_the_notice(store: AlertStore, flaw: int | None) -> None:
    async with webhook_server(lambda asked: flaw if asked < 4 else 200) as (hook, opened):
        opened.notify(notices(store))
        await until(lambda: opened.counts["webhook", "delivered"] == 1)
    assert (hook.asked, len(hook.delivered)) == (4, 1)
    assert opened.counts["webhook", "failed_tries"] == 3


@pytest.mark.parametrize(("status", "tries"), [(500, 5), (404, 1), (301, 1)])
async def test_a_notice_that_is_never_taken_is_dropped_and_logged(
    store: AlertStore, status: int, tries: int
) -> None:
    with capture_logs() as logs:
        async with webhook_server(lambda _: status) as (hook, opened):
            opened.notify(notices(store))
            await until(lambda: opened.counts["webhook", "dropped"] == 1)
    assert hook.asked == tries
    (line,) = [line for line in logs if line["event"] == "alert.dropped"]
    assert (line["receiver"], line["why"]) == ("webhook", f"HTTP {status}")
    assert "secret-token" not in repr(logs)


async def test_a_queued_notice_is_not_queued_again(store: AlertStore) -> None:
    async with webhook_server(lambda _: 200) as (hook, opened):
        told = notices(store)
        opened.notify(told)
        opened.redeliver([("webhook", notice) for notice in told])
        await opened.finish()
        assert len(hook.delivered) == 1


async def test_a_receiver_that_never_answers_delays_no_other_and_its_queue_is_bounded(
    store: AlertStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(dispatcher, "TRIES", 1)
    async with webhook_server(lambda _: 30.0) as (hook, opened):
        opened.notify(notices(store, QUEUE_LIMIT + 50))
        assert opened.counts["webhook", "dropped"] == 50
        await until(lambda: opened.counts["webhook", "dropped"] >= 52)
        assert hook.asked >= 2


async def test_a_slow_receiver_does_not_delay_another(store: AlertStore, tmp_path: Path) -> None:
    class Quick:
        name = "quick"

        async def notify(self, notice: Notice) -> None:
            """Taken."""

    class Stuck:
        name = "stuck"

        async def notify(self, notice: Notice) -> None:
            await asyncio.sleep(60)

    both = Dispatcher([Stuck(), Quick()])
    running = asyncio.create_task(both.run())
    both.notify(notices(store, 20))
    await until(lambda: both.counts["quick", "delivered"] == 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_queued_notices_are_sent_before_the_end(store: AlertStore) -> None:
    async with webhook_server(lambda _: 200) as (hook, opened):
        opened.notify(notices(store, 5))
        await opened.finish()
        assert len(hook.delivered) == 5


async def test_a_plugin_that_raises_loses_only_its_own_notices(store: AlertStore) -> None:
    class Broken:
        name = "broken"

        async def notify(self, notice: Notice) -> None:
            raise KeyError(notice)

    alone = Dispatcher([Broken()])
    running = asyncio.create_task(alone.run())
    alone.notify(notices(store, 2))
    await until(lambda: alone.counts["broken", "dropped"] == 2)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@APPRISES_OWN
async def test_apprise_sends_a_notice(store: AlertStore) -> None:
    hook = WebhookServer(lambda _: 200)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        (notice,) = notices(store)
        await Apprise(f"json://127.0.0.1:{port}/alerts", SAGAS).notify(notice)
    assert hook.delivered[0]["title"] == "chorégraphie [opened] stuck at stock: r0 (1)"
    assert hook.delivered[0]["message"].startswith("CMD-1 waits")


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers 200 and an endless body."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
    writer.close()


async def test_a_webhook_with_an_endless_answer_has_taken_the_notice(store: AlertStore) -> None:
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_dispatcher(Settings(alert_webhook=url), SAGAS) as opened:
        running = asyncio.create_task(opened.run())
        opened.notify(notices(store))
        await until(lambda: opened.counts["webhook", "delivered"] == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@APPRISES_OWN
async def test_an_endless_answer_to_apprise_is_given_up_and_leaves_no_process(
    store: AlertStore,
) -> None:
    open_now: set[asyncio.Task[Any] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(asyncio.current_task())
        await endless(reader, writer)
        open_now.remove(asyncio.current_task())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        delivering = asyncio.create_task(Apprise(address, SAGAS).notify(notices(store)[0]))
        await until(lambda: bool(open_now))
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        await until(lambda: not open_now)


async def test_a_missing_extra_is_refused_in_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(BadSetting, match=r"pip install 'choregraphie\[alerts\]'$"):
        Apprise("json://127.0.0.1", SAGAS)


@APPRISES_OWN
async def test_an_address_that_apprise_does_not_know_is_refused_without_showing_it() -> None:
    with pytest.raises(BadSetting, match=r"^SAGA_ALERT_APPRISE: address number 2 is none that Apprise knows$"):
        async with open_dispatcher(Settings(alert_apprise="json://127.0.0.1 nonsense:secret"), SAGAS):
            pass
