"""The system under test: broker, databases, workers, monitor and client; and what is recorded of it at the end."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pika.exceptions import AMQPError
from sqlalchemy.exc import SQLAlchemyError

from scripts.nemesis import recorder
from scripts.nemesis.client import Client
from scripts.nemesis.coordination import CHOREOGRAPHED, SAGAS
from scripts.nemesis.databases import Databases, read_databases
from scripts.nemesis.delivery_checkers import missing_dead_letters, unfinished_deliveries
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import DeadLetter, History, MonitorConnection, QueueState
from scripts.nemesis.invariants import check_invariants
from scripts.nemesis.monitor_observer import MonitorObserver
from scripts.nemesis.orders import CATALOGUE, EXCHANGE
from scripts.nemesis.recorder import read_mails
from scripts.nemesis.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scripts.nemesis.management import Management
    from scripts.nemesis.orders import ClientEvent
    from scripts.nemesis.violation import Violation

CRASH = "Traceback (most recent call last)"
# The broker drops the consumers of a vanished client after three missed heartbeats of ten seconds.
SETTLE_SECONDS = 45.0


def sqlite_url(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder}/{{service}}.sqlite3"


@dataclass
class Environment:
    """Everything that a scenario runs on. `url` leads to the broker itself; workers and client use `working_url`.
    `coordination` says of which kind the saga is.

    A fault that can lose entries of the stream sets `complete` to False. One that can have a genuine message
    dead-lettered adds the reason to `allowed_reasons`.
    """

    folder: Path
    url: str
    management: Management
    database_url: str
    coordination: str = CHOREOGRAPHED
    each: int = 1
    working_url: str = ""
    program: Sequence[str] = ("services",)
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    complete: bool = True
    allowed_reasons: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.saga = SAGAS[self.coordination]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "catalogue.toml").write_text(CATALOGUE)
        self.gateway = Gateway()
        self.redriven: list[DeadLetter] = []
        env = {
            "SAGA_AMQP_URL": self.working_url or self.url,
            "SAGA_COORDINATION": self.coordination,
            "SAGA_DATABASE_URL": self.database_url,
            "SAGA_CATALOGUE": str(self.folder / "catalogue.toml"),
            "SAGA_CARRIER": f"maildir:{self.folder / 'courrier'}",
            "SAGA_GATEWAY": self.gateway.url,
            "SAGA_RETRY_DELAYS": "0.2,0.5,1,2",
        }
        self.env = env | dict(self.settings)
        self.workers = Workers(self.folder, self.env, self.saga.services, self.each, self.program)
        self.client = Client(self.working_url or self.url)
        shared = ("SAGA_AMQP_URL", "SAGA_COORDINATION", "SAGA_LANE")
        of_monitor = {key: self.env[key] for key in shared if key in self.env}
        self.observer = MonitorObserver(self.folder, of_monitor)

    def start(self, seconds: float = 60) -> None:
        """Start every worker and wait until each inbox has its consumers."""
        self.workers.start_all()
        self.await_ready(seconds)

    def await_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self.ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the workers are not ready after {seconds:.0f} s")
            time.sleep(0.2)

    def restart_until_ready(self, seconds: float) -> None:
        """Start again what ends, until every worker works, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.ready() and time.monotonic() < deadline:
            self.workers.restart_ended()
            time.sleep(0.2)

    def ready(self) -> bool:
        return all(self.consumers(service) >= self.each for service in self.saga.services)

    def consumers(self, service: str) -> int:
        """How many workers of `service` hear its inbox; 0 when the broker does not say."""
        with contextlib.suppress(AMQPError, OSError), recorder.connect(self.url) as connection:
            found = connection.channel().queue_declare(f"{service}.inbox", passive=True)
            return int(found.method.consumer_count)
        return 0

    def order(self, client_events: list[ClientEvent]) -> None:
        """Publish the events of one order now, without pauses between them."""
        for client_event in client_events:
            self.client.publish(EXCHANGE, client_event.key, client_event.body, copies=client_event.copies)

    def await_quiet(self, seconds: float) -> list[Violation]:
        """Wait until nothing is under way. Returns what is still missing at the timeout; empty when quiet."""
        deadline = time.monotonic() + seconds
        while True:
            self.workers.restart_ended()
            found = self._unfinished()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def _unfinished(self) -> list[Violation]:
        if self.client.backlog:
            return check_invariants(History(saga=self.saga), Databases(), ["I6"])
        try:
            databases = self.read_databases()
            dead_letters = recorder.read_dead_letters(self.url, self.saga.services)
        except (AMQPError, OSError, SQLAlchemyError):
            return check_invariants(History(saga=self.saga), Databases(), ["I6"])
        history = History(
            published=self.client.published(), dead_letters=dead_letters, complete=False, saga=self.saga
        )
        return [
            *check_invariants(history, databases, ["I3"]),
            *unfinished_deliveries(history, databases),
            *missing_dead_letters(history),
        ]

    def redrive(self) -> None:
        """Send every dead letter back to its service, and remember it."""
        for dead_letter in recorder.redrive(self.url, self.saga.services):
            self.redriven.append(dead_letter)

    def record(self, *, leaving: bool = False) -> tuple[History, Databases]:
        """The history and the databases. With `leaving`, also end the workers and read the monitor's state."""
        queues = self._queues(counted=leaving)
        monitor_connections = self._monitor_connections() if leaving else ()
        live, rebuilt = self.observer.conclude() if leaving else (None, None)
        worker_exits = self.workers.worker_exits
        workers = self.workers.terminate_all() if leaving else ()
        history = replace(
            self.history_without_broker(),
            stream=recorder.read_stream(self.url),
            dead_letters=recorder.read_dead_letters(self.url, self.saga.services),
            queues=queues,
            workers=workers,
            worker_exits=worker_exits,
            live=live,
            rebuilt=rebuilt,
            monitor_connections=monitor_connections,
        )
        return history, self.read_databases()

    def read_databases(self) -> Databases:
        """The content of the services' databases now."""
        return read_databases(self.database_url, self.saga.services)

    def history_without_broker(self) -> History:
        """The part of the history that needs no broker: for a run that failed."""
        return History(
            published=self.client.published(),
            redriven=tuple(self.redriven),
            worker_exits=self.workers.worker_exits,
            mails=read_mails(self.folder / "courrier"),
            charges=self.gateway.charges(),
            secrets_in_logs=self._logs_containing(*self.secrets),
            crashes=self._crashes(),
            complete=self.complete,
            allowed_reasons=frozenset(self.allowed_reasons),
            each=self.each,
            saga=self.saga,
        )

    def _queues(self, *, counted: bool) -> tuple[QueueState, ...]:
        """The queues' figures once they agree: they lag, and the consumer of a lost session stays for a while."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            queues = recorder.read_queues(self.management)
            consumers = {queue.name: queue.consumers for queue in queues}
            consistent = all(queue.counted and not queue.hides for queue in queues)
            as_expected = not counted or all(
                consumers.get(f"{service}.inbox") == self.each for service in self.saga.services
            )
            if (queues and consistent and as_expected) or time.monotonic() > deadline:
                return queues
            time.sleep(1.0)

    def _monitor_connections(self) -> tuple[MonitorConnection, ...]:
        """The live monitor's connections, once the broker lists one that consumes."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            monitor_connections = recorder.read_monitor_connections(self.management)
            if any(connection.queues for connection in monitor_connections) or time.monotonic() > deadline:
                return monitor_connections
            time.sleep(1.0)

    def _logs(self) -> dict[str, str]:
        return {log.name: log.read_text(errors="replace") for log in [*self.workers.logs, *self.observer.logs]}

    def _logs_containing(self, *texts: str) -> tuple[str, ...]:
        """The names of the logs that contain one of `texts`."""
        return tuple(name for name, found in self._logs().items() if any(text in found for text in texts))

    def _crashes(self) -> tuple[str, ...]:
        """The logs with an unhandled exception: it has its own lines; handled ones are within a line of JSON."""
        return tuple(
            name
            for name, found in self._logs().items()
            if any(CRASH in line and not line.startswith("{") for line in found.splitlines())
        )

    def close(self) -> None:
        self.client.close()
        self.observer.end()
        self.workers.end()
        self.gateway.close()
