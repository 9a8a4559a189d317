"""The contenders: our services, other trees and settings of them, peers, and the relay that is the ceiling."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmarks.peers.formats import FORMATS
from scripts.benchmarks.system import environments
from scripts.benchmarks.system.load import NONE, Write, envelope
from scripts.benchmarks.system.progress import DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.benchmarks.system.postgresql import Databases

ROOT = Path(__file__).resolve().parents[3]
OURS, CEILING = "ours", "relay"
SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True)
class Place:
    """Where a contender works in one round: its virtual host, its folder, the starting data.

    `databases`: on PostgreSQL; without them, each service has a SQLite file in the folder.
    """

    url: str
    folder: Path
    catalogue: Path
    databases: Databases | None = None

    @property
    def database_url(self) -> str:
        """The URL of every database of ours, with `{service}` in the place of a name."""
        return self.databases.url if self.databases else f"sqlite:///{self.folder}/{{service}}.sqlite3"

    def database_of(self, service: str) -> str:
        """The database of a peer's service: its URL, or the path of its file."""
        return self.databases.url_of(service) if self.databases else str(self.folder / f"{service}.sqlite3")


@dataclass(frozen=True)
class Contender:
    """A way of running the saga.

    `engine`: the root of the tree whose engine runs it; None for a peer. `lacks`: what it cannot give.
    `deliveries`: its services, each with what it handles of an order. `refused`: the share of the orders that are
    refused last and undone. `workers`: of each service. `monitor`: whether a monitor follows.
    """

    name: str
    engine: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""
    mail: bool = False
    deliveries: Mapping[str, int | Fraction] = field(default_factory=lambda: DELIVERIES)
    database: str = SQLITE
    refused: Fraction = NONE
    workers: int = 1
    monitor: bool = False
    about: str = ""

    @property
    def is_peer(self) -> bool:
        return self.engine is None and self.name != CEILING

    @property
    def reaches_exchanges(self) -> bool:
        """Whether others can hear its events."""
        return self.name != "dramatiq"

    @property
    def write(self) -> Write:
        """How an order is sent to it."""
        return FORMATS.get(self.name, envelope)

    def queue(self, service: str) -> str:
        """The queue that a service consumes."""
        return service if self.name == "dramatiq" else f"{service}.inbox"

    def prepare(self) -> None:
        """Make the virtual environment that its workers need. Raises RuntimeError when that fails."""
        if self.is_peer:
            environments.ensure(self.name)

    def command(self, service: str, place: Place) -> list[str]:
        if self.engine:
            program = ["-m", "services"] if self.mail else [str(Path(__file__).with_name("without_mail.py"))]
            return [sys.executable, *program, "run", service]
        module = f"scripts.benchmarks.peers.{self.name}.worker"
        if self.name == CEILING:
            return [sys.executable, "-m", module, service, place.url, str(place.folder / f"{service}.count")]
        data = [place.database_of(service), str(place.catalogue)]
        return [str(environments.python_of(self.name)), "-m", module, service, place.url, *data]

    def settings(self, place: Place) -> dict[str, str]:
        """The environment variables of its workers."""
        path = {"PYTHONPATH": str(self.engine or ROOT)}
        if self.engine is None:
            return path
        return path | {
            "SAGA_AMQP_URL": place.url,
            "SAGA_DATABASE_URL": place.database_url,
            "SAGA_CATALOGUE": str(place.catalogue),
            "SAGA_CARRIER": f"maildir:{place.folder}/courrier",
            **self.environment,
        }


PEERS = {
    "faststream": "inbox, journal, outbox (by hand here); groups; retries with delays",
    "aio_pika": "inbox, journal, outbox (by hand here); groups; retries; dead letters",
    "celery": "inbox, journal, outbox (by hand here); groups; events (its own task messages)",
    "dramatiq": "inbox, journal, outbox (by hand here); groups; topics: it sends an event to each service;"
    " events (its own messages), history; quorum queues (by overriding what it declares)",
    "taskiq": "inbox, journal, outbox (by hand here); groups; events (its own task messages); mandatory",
}
# A peer on PostgreSQL: the loop of `aio_pika` with the same SQL.
ASYNCPG = "asyncpg"
_BY_NAME = {name: Contender(name, lacks=lacks) for name, lacks in PEERS.items()} | {
    ASYNCPG: Contender(ASYNCPG, lacks=PEERS["aio_pika"], database=POSTGRESQL),
    CEILING: Contender(CEILING, lacks="a database, JSON"),
}
# Three orders in ten are refused when goods are held and money is taken, and `paiement` hears of these once more.
REFUSED = Fraction(3, 10)
# Ours in other circumstances.
CIRCUMSTANCES = {
    "monitor": Contender("monitor", ROOT, monitor=True, about="ours, and a monitor follows"),
    "cancellations": Contender(
        "cancellations",
        ROOT,
        refused=REFUSED,
        deliveries={**DELIVERIES, "paiement": 1 + REFUSED},
        about="ours; 3 orders in 10 are cancelled last, which undoes them (peers here undo nothing)",
    ),
    "postgresql": Contender("postgresql", ROOT, database=POSTGRESQL, about="ours on PostgreSQL"),
    "two_workers": Contender(
        "two_workers",
        ROOT,
        database=POSTGRESQL,
        workers=2,
        about="ours on PostgreSQL, two workers a service (a SQLite file takes one)",
    ),
}
NAMES = (OURS, *CIRCUMSTANCES, *_BY_NAME)


def variant(text: str, mail: bool) -> Contender:
    """Our services with other settings: `NAME=KEY=VALUE,KEY=VALUE`. Raises ValueError."""
    name, _, rest = text.partition("=")
    pairs = [pair.partition("=") for pair in rest.split(",")]
    if not name or not all(key and sign for key, sign, _ in pairs):
        raise ValueError(f"{text!r} is not NAME=KEY=VALUE,…, such as lean=SAGA_LANE=lean")
    return Contender(name, ROOT, {key: value for key, _, value in pairs}, mail=mail)


def baseline(text: str, mail: bool) -> Contender:
    """The engine of another tree: its folder, or `NAME=FOLDER`. Raises ValueError."""
    name, _, folder = text.rpartition("=")
    root = Path(folder).resolve()
    if not (root / "services" / "__main__.py").is_file():
        raise ValueError(f"{folder} is not a tree of this project: it has no services/__main__.py")
    return Contender(name or "baseline", root, mail=mail)


def ours(mail: bool) -> Contender:
    return Contender(OURS, ROOT, mail=mail)


def chosen(names: Sequence[str], mail: bool = False) -> list[Contender]:
    """The contenders of these names: ours first, in its circumstances, then peers and ceiling."""
    found = [ours(mail)] if OURS in names else []
    found += [replace(one, mail=mail) for name, one in CIRCUMSTANCES.items() if name in names]
    return found + [_BY_NAME[name] for name in names if name in _BY_NAME]


def ceiling() -> Contender:
    return _BY_NAME[CEILING]
