"""Receivers that drop, delay and fail: told in the end, or dropped and said, and nobody slows anybody."""

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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from saga_monitor.alerting.rules import Notice

HOUR = dt.timedelta(hours=1)
# It imports every plugin that it has when it is first asked for one.
APPRISES_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[AlertStore]:
    book = AlertStore(tmp_path / "monitor.sqlite3")
    yield book
    book.close()


def anomaly(reason: str) -> Anomaly:
    return Anomaly(Kind.STUCK, "CMD-1", "stock", START, reason, "CMD-1 waits")


class Hook:
    """A small HTTP server. `behave` says for each request what to answer: a status, None to drop, or seconds."""

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
async def hooked(
    behave: Callable[[int], int | float | None], **settings: Any
) -> AsyncIterator[tuple[Hook, Dispatcher]]:
    hook = Hook(behave)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/secret-token"
    async with server, open_dispatcher(Settings(alert_webhook=url, **settings)) as opened:
        running = asyncio.create_task(opened.run())
        yield hook, opened
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "backoff", lambda _: 0.01)


def notices(book: AlertStore, count: int = 1) -> Sequence[Notice]:
    return book.update(alerts_of((anomaly(f"r{n}") for n in range(count)), START), START, HOUR)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def test_a_webhook_is_posted_json_and_the_log_says_it_too(book: AlertStore) -> None:
    with capture_logs() as logs:
        async with hooked(lambda _: 204) as (hook, opened):
            opened.notify(notices(book))
            await until(lambda: opened.counts["webhook", "told"] == 1)
    assert hook.delivered[0]["status"] == "opened"
    (line,) = [line for line in logs if line["event"] == "alert.opened"]
    assert (line["kind"], line["reason"], line["sentence"]) == ("stuck", "r0", "CMD-1 waits")
    assert "secret-token" not in repr(logs)


@pytest.mark.parametrize("flaw", [500, 429, None])
async def test_a_flaky_webhook_is_asked_again_until_it_takes_it(book: AlertStore, flaw: int | None) -> None:
    async with hooked(lambda asked: flaw if asked < 4 else 200) as (hook, opened):
        opened.notify(notices(book))
        await until(lambda: opened.counts["webhook", "told"] == 1)
    assert (hook.asked, len(hook.delivered)) == (4, 1)
    assert opened.counts["webhook", "failed_tries"] == 3


@pytest.mark.parametrize(("status", "tries"), [(500, 5), (404, 1), (301, 1)])
async def test_a_notice_that_is_never_taken_is_dropped_and_said(book: AlertStore, status: int, tries: int) -> None:
    with capture_logs() as logs:
        async with hooked(lambda _: status) as (hook, opened):
            opened.notify(notices(book))
            await until(lambda: opened.counts["webhook", "dropped"] == 1)
    assert hook.asked == tries
    (line,) = [line for line in logs if line["event"] == "alert.dropped"]
    assert (line["receiver"], line["why"]) == ("webhook", f"HTTP {status}")
    assert "secret-token" not in repr(logs)


async def test_what_waits_in_a_lane_is_not_put_there_again(book: AlertStore) -> None:
    async with hooked(lambda _: 200) as (hook, opened):
        told = notices(book)
        opened.notify(told)
        opened.redeliver([("webhook", notice) for notice in told])
        await opened.finish()
        assert len(hook.delivered) == 1


async def test_a_receiver_that_never_answers_slows_nobody_and_its_queue_is_bounded(
    book: AlertStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(dispatcher, "TRIES", 1)
    async with hooked(lambda _: 30.0) as (hook, opened):
        begun = asyncio.get_running_loop().time()
        opened.notify(notices(book, QUEUE_LIMIT + 50))
        assert asyncio.get_running_loop().time() - begun < 1
        assert opened.counts["webhook", "dropped"] == 50
        await until(lambda: opened.counts["webhook", "dropped"] >= 52)
        assert hook.asked >= 2


async def test_a_slow_receiver_does_not_keep_another_waiting(book: AlertStore, tmp_path: Path) -> None:
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
    both.notify(notices(book, 20))
    await until(lambda: both.counts["quick", "told"] == 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_at_the_end_is_still_told(book: AlertStore) -> None:
    async with hooked(lambda _: 200) as (hook, opened):
        opened.notify(notices(book, 5))
        await opened.finish()
        assert len(hook.delivered) == 5


async def test_a_plugin_that_raises_costs_its_own_notices_alone(book: AlertStore) -> None:
    class Broken:
        name = "broken"

        async def notify(self, notice: Notice) -> None:
            raise KeyError(notice)

    alone = Dispatcher([Broken()])
    running = asyncio.create_task(alone.run())
    alone.notify(notices(book, 2))
    await until(lambda: alone.counts["broken", "dropped"] == 2)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@APPRISES_OWN
async def test_apprise_carries_it_anywhere(book: AlertStore) -> None:
    hook = Hook(lambda _: 200)
    server = await asyncio.start_server(hook.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        (notice,) = notices(book)
        await Apprise(f"json://127.0.0.1:{port}/alerts").notify(notice)
    assert hook.delivered[0]["title"] == "chorégraphie [opened] stuck at stock: r0 (1)"
    assert hook.delivered[0]["message"].startswith("CMD-1 waits")


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers 200, and a body that has no end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
    writer.close()


async def test_a_webhook_whose_answer_has_no_end_has_taken_it(book: AlertStore) -> None:
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_dispatcher(Settings(alert_webhook=url)) as opened:
        running = asyncio.create_task(opened.run())
        opened.notify(notices(book))
        await until(lambda: opened.counts["webhook", "told"] == 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@APPRISES_OWN
async def test_an_answer_to_apprise_that_has_no_end_is_given_up_and_nothing_is_left_of_it(
    book: AlertStore,
) -> None:
    open_now: set[asyncio.Task[Any] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(asyncio.current_task())
        await endless(reader, writer)
        open_now.remove(asyncio.current_task())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        telling = asyncio.create_task(Apprise(address).notify(notices(book)[0]))
        await until(lambda: bool(open_now))
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        await until(lambda: not open_now)


async def test_without_the_extra_it_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(BadSetting, match=r"pip install 'choregraphie\[alerts\]'$"):
        Apprise("json://127.0.0.1")


@APPRISES_OWN
async def test_an_address_that_apprise_does_not_know_is_one_line_without_it() -> None:
    with pytest.raises(BadSetting, match=r"^SAGA_ALERT_APPRISE: address number 2 is none that Apprise knows$"):
        async with open_dispatcher(Settings(alert_apprise="json://127.0.0.1 nonsense:secret")):
            pass
