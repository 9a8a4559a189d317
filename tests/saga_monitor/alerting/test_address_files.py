"""The addresses of alerts may be changed in their file while the monitor runs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie import read_settings
from saga_monitor.alerting import dispatcher
from saga_monitor.alerting.dispatcher import Dispatcher, open_dispatcher
from saga_monitor.alerting.rules import alerts_of
from saga_monitor.alerting.store import AlertStore
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.memory_stream import START
from tests.support.order_saga import SAGAS, order_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@contextlib.asynccontextmanager
async def alert_server(status: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers 200 at `/second` and `status` elsewhere; its place, and the requested paths."""
    paths: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        paths.append(head.split(b" ")[1].decode().rstrip("/"))
        said = 200 if paths[-1] == "/second" else status
        writer.write(f"HTTP/1.1 {said} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", paths


@contextlib.asynccontextmanager
async def delivering(opened: Dispatcher, folder: Path) -> AsyncIterator[None]:
    """Deliver one notice to every receiver meanwhile."""
    store = AlertStore(folder / "monitor.sqlite3")
    anomaly = Anomaly(Kind.STUCK, *order_with("CMD-1"), "stock", START, "r0", "CMD-1 waits")
    opened.notify(store.update(alerts_of(iter([anomaly]), START), START, dt.timedelta(hours=1)))
    store.close()
    running = asyncio.create_task(opened.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "backoff", lambda _: 0.01)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_webhook_is_read_again_from_its_file(tmp_path: Path, status: int) -> None:
    file = tmp_path / "webhook"
    async with alert_server(status) as (place, paths):
        file.write_text(f"http://{place}/first\n")
        async with open_dispatcher(read_settings({"SAGA_ALERT_WEBHOOK_FILE": str(file)}), SAGAS) as opened:
            file.write_text(f"http://{place}/second\n")
            async with delivering(opened, tmp_path):
                await until(lambda: opened.counts["webhook", "delivered"] == 1)
    assert paths == ["/first", "/second"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_apprise_addresses_are_read_again_from_their_file_after_a_failed_try(tmp_path: Path) -> None:
    file = tmp_path / "apprise"
    async with alert_server(403) as (place, paths):
        file.write_text(f"json://{place}/first\n")
        async with open_dispatcher(read_settings({"SAGA_ALERT_APPRISE_FILE": str(file)}), SAGAS) as opened:
            file.write_text(f"json://{place}/second\n")
            async with delivering(opened, tmp_path):
                await until(lambda: opened.counts["apprise", "delivered"] == 1)
    assert paths == ["/first", "/second"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("bad", ["", "nonsense:hush"])
async def test_apprise_addresses_that_cannot_be_used_leave_the_old_ones(
    tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "apprise"
    async with alert_server(403) as (place, paths):
        file.write_text(f"json://{place}/first")
        async with open_dispatcher(read_settings({"SAGA_ALERT_APPRISE_FILE": str(file)}), SAGAS) as opened:
            file.write_text(bad)
            async with delivering(opened, tmp_path):
                await until(lambda: opened.counts["apprise", "failed_tries"] >= 2)
    assert set(paths) == {"/first"}
    said = capsys.readouterr().out
    assert "secret.reload_failed" in said
    assert "SAGA_ALERT_APPRISE" in said
    assert "hush" not in said
