"""One round: a contender's four services on a fresh virtual host with new databases, set up, loaded and ended."""

from __future__ import annotations

import contextlib
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.system.broker import Broker, declare_topology, seconds_until_consumed
from scripts.benchmarks.system.contenders import Contender, Place
from scripts.benchmarks.system.load import Publisher, bodies, catalogue, saturate, wait_until
from scripts.benchmarks.system.progress import Progress
from scripts.benchmarks.system.workers import Worker, cpu_seconds, memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WARM_UP_ORDERS = 200
_WARM_UP_SECONDS = 60.0
BROKER = "broker"


@dataclass(frozen=True)
class Running:
    """A contender at work in `folder`.

    `ready_seconds`: from the start of each process until it consumes. `start` starts a service, also after a kill,
    and returns these seconds once it consumes.
    """

    url: str
    folder: Path
    workers: Mapping[str, Worker]
    broker_pid: int
    progress: Progress
    ready_seconds: Mapping[str, float]
    start: Callable[[str], float]

    def check(self) -> None:
        """Raises RuntimeError when a worker has ended."""
        for worker in self.workers.values():
            worker.check()

    def cpu(self) -> dict[str, float]:
        """The CPU seconds used so far by each service and the broker."""
        used = {service: cpu_seconds(worker.pid) for service, worker in self.workers.items()}
        return used | {BROKER: cpu_seconds(self.broker_pid)}

    def memory(self) -> dict[str, float]:
        """The resident MB of each service."""
        return {service: round(memory_mb(worker.pid), 1) for service, worker in self.workers.items()}


@contextmanager
def running(contender: Contender, broker: Broker, name: str) -> Iterator[Running]:
    """Run the contender's workers on a virtual host called `name`; they are started one after another."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="choregraphie-round-")))
        url = stack.enter_context(broker.virtual_host(name))
        place = Place(url, folder, catalogue(folder / "catalogue.toml"))
        if contender.engine is None:
            declare_topology(url)
        workers: dict[str, Worker] = {}
        ready: dict[str, float] = {}

        def start(service: str) -> float:
            command, settings = contender.command(service, place), contender.settings(place)
            worker = Worker(command, contender.engine or _root(), settings, folder / f"{service}.log")
            stack.callback(worker.close)
            workers[service] = worker
            return round(seconds_until_consumed(url, contender.queue(service), worker), 3)

        for service in contender.deliveries:
            ready[service] = start(service)
        progress = stack.enter_context(contextlib.closing(Progress(folder, contender.deliveries)))
        yield Running(url, folder, workers, broker.pid, progress, ready, start)


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
) -> dict[str, Any]:
    """Saturate the contender for `seconds`, or with `most` orders, after `warm` others; its rate, what it cost.

    The clock runs from the first publish until every delivery of every order is stored.
    """
    with (
        running(contender, broker, name) as system,
        contextlib.closing(Publisher(system.url, bodies(), contender.write)) as publisher,
    ):
        return {"contender": contender.name} | saturated(system, publisher, seconds, most=most, warm=warm)


def saturated(
    system: Running, publisher: Publisher, seconds: float, *, most: int | None = None, warm: int = WARM_UP_ORDERS
) -> dict[str, Any]:
    """The figures of `measure`, of a system that has had no order yet."""
    saturate(publisher, system.progress.finished, _WARM_UP_SECONDS, warm)
    finish(system, warm)
    before = system.cpu()
    orders, start = saturate(publisher, lambda: system.progress.finished() - warm, seconds, most)
    finish(system, warm + orders)
    elapsed = time.monotonic() - start
    used = {who: after - before[who] for who, after in system.cpu().items()}
    return _figures(system, orders, elapsed, used)


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
