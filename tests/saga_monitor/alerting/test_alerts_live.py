"""From end to end: a stuck order on a real broker, a monitor that serves, a webhook that is called once."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from choregraphie import read_settings
from tests.saga_monitor.memory_stream import HELD, KNOWN, event_bytes
from tests.support.free_port import free_port
from tests.support.topology import declare_topology
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.foreign_client import ForeignClient


class WebhookServer(BaseHTTPRequestHandler):
    told: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def webhook_server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("ThisHook", (WebhookServer,), {"told": told}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def serving(environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "saga_monitor", "serve"], cwd=ROOT, env=environ, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def scraped(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


async def test_a_stuck_order_is_alerted_once_even_if_the_monitor_is_killed(
    amqp_url: str, foreign_client: ForeignClient, tmp_path: Path
) -> None:
    port = free_port()
    with webhook_server() as (url, told):
        environ = environment(
            amqp_url=amqp_url,
            monitor_database=tmp_path / "monitor.sqlite3",
            monitor_port=port,
            stuck_after=1,
            alert_webhook=url,
        )
        settings = read_settings(environ)
        await declare_topology(settings)
        start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
        for line in HELD:
            exchange = f"{KNOWN[line.type].SAID_BY}.events"
            assert foreign_client.publish(exchange, line.type, event_bytes("CMD-1", line, start))

        with serving(environ, tmp_path / "log"):
            until(lambda: bool(told), (tmp_path / "log").read_text())
            stuck = 'saga_instances_stuck{reason="no_consumer",saga="commande"} 1.0'
            until(lambda: stuck in scraped(port), "the stuck order among the metrics")
        (notice,) = told
        assert (notice["status"], notice["kind"], notice["service"]) == ("opened", "stuck", "paiement")
        assert (notice["reason"], notice["orders"]) == ("no_consumer", ["CMD-1"])
        assert "start a worker with `python -m services run paiement`" in notice["sentence"]

        with serving(environ, tmp_path / "log"):
            # When its view is shown it has checked, and has sent its notices.
            until(lambda: stuck in scraped(port), "the stuck order among the metrics again")
        assert told == [notice]
