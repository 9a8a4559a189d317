"""A webhook whose address is kept in a file may be changed while the monitor runs."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from choregraphie import read_settings
from saga_monitor.alerting import notifiers
from saga_monitor.alerting.notifiers import open_notifiers
from saga_monitor.alerting.rules import standing
from saga_monitor.alerting.store import AlertStore
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from tests.saga_monitor.memory_stream import START

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_address_is_read_again_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(notifiers, "backoff", lambda _: 0.01)
    paths: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        paths.append(head.split(b" ")[1])
        said = 200 if paths[-1] == b"/second" else status
        writer.write(f"HTTP/1.1 {said} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    site, file = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", tmp_path / "webhook"
    file.write_text(f"{site}/first\n")
    async with server, open_notifiers(read_settings({"SAGA_ALERT_WEBHOOK_FILE": str(file)})) as opened:
        file.write_text(f"{site}/second\n")
        book = AlertStore(tmp_path / "monitor.sqlite3")
        anomaly = Anomaly(Kind.STUCK, "CMD-1", "stock", START, "r0", "CMD-1 waits")
        opened.tell(book.update(standing(iter([anomaly]), START), START, dt.timedelta(hours=1)))
        running = asyncio.create_task(opened.run())
        async with asyncio.timeout(10):
            while opened.counts["webhook", "told"] < 1:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        book.close()
    assert paths == [b"/first", b"/second"]
