"""Where a scenario happens: a broker, databases, workers and a client; and how it is judged in the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pika.exceptions import AMQPError
from sqlalchemy.exc import SQLAlchemyError

from scripts.nemesis import recorder
from scripts.nemesis.client import Client
from scripts.nemesis.databases import Books, read_books
from scripts.nemesis.delivery_checkers import not_set_aside, unsettled
from scripts.nemesis.gateway import Gateway
from scripts.nemesis.history import History, Letter, Link, QueueState
from scripts.nemesis.invariants import judge
from scripts.nemesis.monitor_observer import Observer
from scripts.nemesis.orders import CATALOGUE, EXCHANGE
from scripts.nemesis.recorder import read_mails
from scripts.nemesis.workers import SERVICES, Fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scripts.nemesis.management import Management
    from scripts.nemesis.orders import Saying
    from scripts.nemesis.violation import Violation

CRASH = "Traceback (most recent call last)"
# A broker that has lost a client without a word drops its consumers after three heartbeats of ten seconds.
SETTLE_SECONDS = 45.0


def sqlite_url(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder}/{{service}}.sqlite3"


@dataclass
class Arena:
    """`url` is the broker's own, for the client of the recorder; workers and the client may have another.

    A fault that makes the stream lose something sets `complete` to False; one that can have a good message set
    aside adds the reason to `may_set_aside`.
    """

    folder: Path
    url: str
    management: Management
    database_url: str
    each: int = 1
    working_url: str = ""
    program: Sequence[str] = ("services",)
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    complete: bool = True
    may_set_aside: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "catalogue.toml").write_text(CATALOGUE)
        self.gateway = Gateway()
        self.sent_back: list[Letter] = []
        environment = {
            "SAGA_AMQP_URL": self.working_url or self.url,
            "SAGA_DATABASE_URL": self.database_url,
            "SAGA_CATALOGUE": str(self.folder / "catalogue.toml"),
            "SAGA_CARRIER": f"maildir:{self.folder / 'courrier'}",
            "SAGA_GATEWAY": self.gateway.url,
            "SAGA_RETRY_DELAYS": "0.2,0.5,1,2",
        }
        self.environment = environment | dict(self.settings)
        self.fleet = Fleet(self.folder, self.environment, self.each, self.program)
        self.client = Client(self.working_url or self.url)
        self.observer = Observer(self.folder, {"SAGA_AMQP_URL": self.working_url or self.url})

    def start(self, seconds: float = 60) -> None:
        """Start every worker and wait until each inbox has its consumers."""
        self.fleet.start_all()
        self.await_ready(seconds)

    def await_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not self.ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the workers are not ready after {seconds:.0f} s")
            time.sleep(0.2)

    def ready(self) -> bool:
        try:
            with recorder.connection(self.url) as link:
                for service in SERVICES:
                    found = link.channel().queue_declare(f"{service}.inbox", passive=True)
                    if found.method.consumer_count < self.each:
                        return False
        except (AMQPError, OSError):
            return False
        return True

    def order(self, outbox_events: list[Saying]) -> None:
        """Say now what is to be said about an order, without waiting between."""
        for outbox_event in outbox_events:
            self.client.say(EXCHANGE, outbox_event.key, outbox_event.body, copies=outbox_event.copies)

    def await_quiet(self, seconds: float) -> list[Violation]:
        """Wait until nothing is under way: what is still missing when the time is over (nothing: quiet)."""
        deadline = time.monotonic() + seconds
        while True:
            self.fleet.revive()
            found = self._restless()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def _restless(self) -> list[Violation]:
        if self.client.backlog:
            return judge(History(), Books(), ["I6"])
        try:
            books = read_books(self.database_url)
            letters = recorder.read_letters(self.url)
        except (AMQPError, OSError, SQLAlchemyError):
            return judge(History(), Books(), ["I6"])
        past = History(published=self.client.published(), letters=letters, complete=False)
        return [*judge(past, books, ["I3"]), *unsettled(past, books), *not_set_aside(past)]

    def redrive(self) -> None:
        """Send every dead letter back, and remember that it was one."""
        for letter in recorder.redrive(self.url):
            self.sent_back.append(letter)

    def record(self, *, leaving: bool = False) -> tuple[History, Books]:
        """The whole history and the books; with `leaving`, the monitor concludes, and the workers leave."""
        queues = self._queues(counted=leaving)
        links = self._links() if leaving else ()
        live, anew = self.observer.conclude() if leaving else (None, None)
        departures = self.fleet.departures
        workers = self.fleet.ask_to_leave() if leaving else ()
        past = replace(
            self.without_the_broker(),
            spoken=recorder.read_stream(self.url),
            letters=recorder.read_letters(self.url),
            queues=queues,
            workers=workers,
            departures=departures,
            live=live,
            anew=anew,
            links=links,
        )
        return past, read_books(self.database_url)

    def without_the_broker(self) -> History:
        """What is known though the broker, or the rest of a recording, should fail."""
        return History(
            published=self.client.published(),
            sent_back=tuple(self.sent_back),
            departures=self.fleet.departures,
            mails=read_mails(self.folder / "courrier"),
            charges=self.gateway.charges(),
            secrets_in_logs=self._logs_with(*self.secrets),
            crashes=self._crashes(),
            complete=self.complete,
            may_set_aside=frozenset(self.may_set_aside),
            each=self.each,
        )

    def _queues(self, *, counted: bool) -> tuple[QueueState, ...]:
        """The queues once their figures agree; they lag, and a lost session's consumer stays for a while."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            queues = recorder.read_queues(self.management)
            consumers = {queue.name: queue.consumers for queue in queues}
            agreed = all(queue.counted and not queue.hides for queue in queues)
            right = not counted or all(consumers.get(f"{service}.inbox") == self.each for service in SERVICES)
            if (queues and agreed and right) or time.monotonic() > deadline:
                return queues
            time.sleep(1.0)

    def _links(self) -> tuple[Link, ...]:
        """The live monitor's connections, once the broker tells of one that reads."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            links = recorder.read_links(self.management)
            if any(link.queues for link in links) or time.monotonic() > deadline:
                return links
            time.sleep(1.0)

    def _logs(self) -> dict[str, str]:
        return {log.name: log.read_text(errors="replace") for log in [*self.fleet.logs, *self.observer.logs]}

    def _logs_with(self, *texts: str) -> tuple[str, ...]:
        """The names of the logs in which one of `texts` stands."""
        return tuple(name for name, found in self._logs().items() if any(text in found for text in texts))

    def _crashes(self) -> tuple[str, ...]:
        """Handled errors are told within a line of JSON; one that nobody caught stands in lines of its own."""
        return tuple(
            name
            for name, found in self._logs().items()
            if any(CRASH in line and not line.startswith("{") for line in found.splitlines())
        )

    def close(self) -> None:
        self.client.close()
        self.observer.end()
        self.fleet.end()
        self.gateway.close()
