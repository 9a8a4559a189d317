"""A running saga to break: its processes, a card gateway that can refuse, and the commands of an operator."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pika

from scripts.benchmarks.system.broker import Broker, seconds_until_consumed
from scripts.benchmarks.system.contenders import ROOT, Contender
from scripts.benchmarks.system.workers import Worker
from scripts.nemesis.management import Management

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMAND_SECONDS = 120


class Gateway(BaseHTTPRequestHandler):
    """Accepts every debit and refund, but answers the methods of `refuses` with its status."""

    refuses: ClassVar[Mapping[str, int]] = {}

    def do_PUT(self) -> None:  # the name is http.server's
        self._answer(b'{"acceptee": true}')

    def do_DELETE(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.refuses.get(self.command) or (200 if body else 204))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@dataclass
class LiveSystem:
    """One wiring on a virtual host of its own. `workers`: by the services that run in each process."""

    wiring: Contender
    url: str
    folder: Path
    management: Management
    settings: dict[str, str]
    gateway: type[Gateway]
    workers: dict[tuple[str, ...], Worker] = field(default_factory=dict)

    def start(self, *services: str, wait: bool = True, failpoint: str = "") -> Worker:
        """Start these services in one process, which dies at `failpoint` if that is given."""
        command = [sys.executable, "-m", "services", "run", *services]
        more = {"SAGA_FAILPOINT": failpoint} if failpoint else {}
        log = self.folder / f"{'-'.join(services)}.log"
        worker = self.workers[services] = Worker(command, ROOT, self.settings | more, log)
        for service in services if wait else ():
            seconds_until_consumed(self.url, f"{service}.inbox", worker)
        return worker

    def start_around(self, service: str, failpoint: str = "") -> Worker:
        """Start `service` in a process of its own, and all others together; returns the process of `service`."""
        self.start(*(name for name in self.wiring.deliveries if name != service))
        return self.start(service, failpoint=failpoint)

    def order(self, **data: Any) -> str:
        """Place an order; returns its key."""
        key = f"CMD-{uuid.uuid4().hex[:8]}"
        usual = {"client_id": "CLIENT-123", "produit_id": "PROD-456", "quantite": 2, "montant": 99.99}
        self.publish("client.events", "commande.initiee", {"commande_id": key} | usual | data)
        return key

    def publish(self, exchange: str, type_: str, data: dict[str, Any], source: str = "/clients/compare") -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        body = {"specversion": "1.0", "id": str(uuid.uuid4()), "type": type_, "source": source, "time": now}
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.url))) as connection:
            connection.channel().basic_publish(
                exchange, type_, json.dumps(body | {"data": data}).encode(), properties
            )

    def set_aside(self, service: str) -> int:
        """The dead letters of a service."""
        return int(self.management.queue(f"{service}.dlq").get("messages", 0))

    def end_of_log(self, service: str, lines: int) -> str:
        """The last lines of the log of the process of `service`."""
        worker = next(worker for services, worker in self.workers.items() if service in services)
        return "\n".join(worker.log.read_text(errors="replace").splitlines()[-lines:])

    def read(self, *arguments: str) -> str:
        """What a command of the operator prints: `saga_monitor anomalies`, `services doctor`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        ran = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=kept | self.settings | {"COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        return ran.stdout


@contextmanager
def live_system(wiring: Contender, broker: Broker, name: str) -> Iterator[LiveSystem]:
    """The wiring on a new virtual host; nothing is started yet, and everything is ended afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="choregraphie-faults-")))
        url = stack.enter_context(broker.virtual_host(name))
        gateway = type("Gateway", (Gateway,), {})
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), gateway))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        settings = _settings(wiring, broker, url, folder)
        settings["SAGA_GATEWAY"] = f"http://127.0.0.1:{server.server_port}"
        parts = urlsplit(broker.management_url)
        base = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        management = Management(base, parts.username or "", parts.password or "", name)
        system = LiveSystem(wiring, url, folder, management, settings, gateway)
        try:
            yield system
        finally:
            for worker in system.workers.values():
                worker.close()


def _settings(wiring: Contender, broker: Broker, url: str, folder: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "SAGA_AMQP_URL": url,
        "SAGA_MANAGEMENT_URL": broker.management_url,
        "SAGA_DATABASE_URL": f"sqlite:///{folder}/{{service}}.sqlite3",
        "SAGA_CARRIER": f"maildir:{folder}/courrier",
        "SAGA_MONITOR_DATABASE": f"{folder}/monitor.sqlite3",
        "SAGA_RETRY_DELAYS": "0.2,0.5",
        "SAGA_STUCK_AFTER": "1",
        **wiring.environment,
    }
