"""One round: a contender's four services on a fresh virtual host with new databases, set up, loaded and ended."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.monitor_process import MonitorProcess
from scripts.benchmarks.system import kills
from scripts.benchmarks.system.broker import Broker, declare_topology, seconds_until_consumed
from scripts.benchmarks.system.contenders import POSTGRESQL, Contender, Place
from scripts.benchmarks.system.load import Publisher, bodies, catalogue, saturate, wait_until
from scripts.benchmarks.system.postgresql import Databases, databases
from scripts.benchmarks.system.progress import Progress
from scripts.benchmarks.system.workers import Worker, cpu_seconds, memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WARM_UP_ORDERS = 200
# The decider is killed under this load, orders a second.
KILLED, KILLED_RATE = "commande", 50.0
_WARM_UP_SECONDS = 60.0
BROKER, MONITOR = "broker", "monitor"
# What the history has of an order that is created.
EVENTS = 5


@dataclass(frozen=True)
class Running:
    """A contender at work in `folder`.

    `workers`: of each service. `ready_seconds`: from the start of the last one until it consumes. `start` starts a
    worker of a service, also after a kill, and returns these seconds once it consumes. `beside`: the CPU seconds
    so far of each process that is no worker.
    """

    url: str
    folder: Path
    workers: Mapping[str, list[Worker]]
    progress: Progress
    ready_seconds: Mapping[str, float]
    start: Callable[[str], float]
    beside: Mapping[str, Callable[[], float]]
    monitor: MonitorProcess | None = None

    def check(self) -> None:
        """Raises RuntimeError when a worker has ended."""
        for worker in itertools.chain(*self.workers.values()):
            worker.check()

    def cpu(self) -> dict[str, float]:
        """The CPU seconds used so far by the workers of each service, and by what runs beside them."""
        used = {service: sum(cpu_seconds(one.pid) for one in each) for service, each in self.workers.items()}
        return used | {what: spent() for what, spent in self.beside.items()}

    def memory(self) -> dict[str, float]:
        """The resident MB of the largest worker of each service."""
        return {
            service: round(max(memory_mb(one.pid) for one in each), 1) for service, each in self.workers.items()
        }


@contextmanager
def running(contender: Contender, broker: Broker, name: str) -> Iterator[Running]:
    """Run the contender's workers on a virtual host called `name`; they are started one after another."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="choregraphie-round-")))
        url = stack.enter_context(broker.virtual_host(name))
        beside: dict[str, Callable[[], float]] = {BROKER: lambda: cpu_seconds(broker.pid)}
        stored: Databases | None = None
        if contender.database == POSTGRESQL:
            stored = stack.enter_context(databases([*contender.deliveries]))
            beside[POSTGRESQL] = stored.cpu_seconds
        place = Place(url, folder, catalogue(folder / "catalogue.toml"), stored)
        if contender.engine is None:
            declare_topology(url)
        workers: dict[str, list[Worker]] = {service: [] for service in contender.deliveries}
        start = partial(_start, contender, place, workers, stack)
        ready = {service: [start(service) for _ in range(contender.workers)][-1] for service in workers}
        monitor = None
        if contender.monitor:
            monitor = stack.enter_context(contextlib.closing(_monitor(place)))
            beside[MONITOR] = monitor.cpu_seconds
        progress = stack.enter_context(contextlib.closing(Progress(folder, contender.deliveries, stored)))
        yield Running(url, folder, workers, progress, ready, start, beside, monitor)


def _start(
    contender: Contender,
    place: Place,
    workers: Mapping[str, list[Worker]],
    stack: contextlib.ExitStack,
    service: str,
) -> float:
    command, settings = contender.command(service, place), contender.settings(place)
    log = place.folder / f"{service}-{uuid.uuid4().hex[:8]}.log"
    worker = Worker(command, contender.engine or _root(), settings, log)
    stack.callback(worker.close)
    workers[service].append(worker)
    return round(seconds_until_consumed(place.url, contender.queue(service), worker, len(workers[service])), 3)


def _monitor(place: Place) -> MonitorProcess:
    path = place.folder / "monitor.sqlite3"
    return MonitorProcess(path, "saga_monitor", "serve", one_core=False, amqp_url=place.url)


def _root() -> Path:
    return Path(__file__).resolve().parents[3]


def measure(
    contender: Contender,
    broker: Broker,
    name: str,
    seconds: float,
    *,
    most: int | None = None,
    warm: int = WARM_UP_ORDERS,
    kill: bool = False,
) -> dict[str, Any]:
    """Saturate the contender for `seconds`, or with `most` orders, after `warm` others; its rate, what it cost.

    The clock runs from the first publish until every delivery of every order is stored. `kill`: a worker is killed
    afterwards.
    """
    with (
        running(contender, broker, name) as system,
        contextlib.closing(Publisher(system.url, bodies(refused=contender.refused), contender.write)) as publisher,
    ):
        found = {"contender": contender.name} | saturated(system, publisher, seconds, most=most, warm=warm)
        if kill:
            found["kill"] = kills.measure(system, KILLED, KILLED_RATE, contender.write)
        return found


def saturated(
    system: Running, publisher: Publisher, seconds: float, *, most: int | None = None, warm: int = WARM_UP_ORDERS
) -> dict[str, Any]:
    """The figures of `measure`, of a system that has had no order yet."""
    saturate(publisher, system.progress.finished, _WARM_UP_SECONDS, warm)
    finish(system, warm)
    _seconds_until_read(system, warm)
    before = system.cpu()
    orders, start = saturate(publisher, lambda: system.progress.finished() - warm, seconds, most)
    finish(system, warm + orders)
    elapsed = time.monotonic() - start
    behind = _seconds_until_read(system, warm + orders)
    used = {who: after - before[who] for who, after in system.cpu().items()}
    figures = _figures(system, orders, elapsed, used)
    return figures if behind is None else figures | {"monitor_behind_seconds": behind}


def _seconds_until_read(system: Running, orders: int) -> float | None:
    """Wait until the monitor has read every event of that many orders, and return how long; None without one."""
    if system.monitor is None:
        return None
    began = time.monotonic()
    system.monitor.until(EVENTS * orders - 1)
    return round(time.monotonic() - began, 2)


def _figures(system: Running, orders: int, elapsed: float, used: dict[str, float]) -> dict[str, Any]:
    return {
        "orders": orders,
        "seconds": round(elapsed, 2),
        "orders_per_second": round(orders / elapsed, 1),
        "cpu_us_per_order": {who: round(spent / orders * 1e6) for who, spent in used.items()},
        "memory_mb": system.memory(),
        "ready_seconds": dict(system.ready_seconds),
    }


def finish(system: Running, orders: int) -> None:
    """Wait until every delivery of that many orders is stored. Raises RuntimeError when they are not in time."""
    try:
        wait_until(lambda: system.progress.all_handled(orders), system.check)
    except TimeoutError as error:
        handled = {service: system.progress.handled(service) for service in system.progress.deliveries}
        raise RuntimeError(f"of {orders} orders, these deliveries were handled: {handled}") from error
