"""A chaos run: continuous orders, scheduled faults, then a calm until every order has ended, then the checks."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.customers import Customers
from scripts.nemesis.databases import Databases
from scripts.nemesis.faults_broker import restart_dead_queues
from scripts.nemesis.faults_message import collide
from scripts.nemesis.figures import figures
from scripts.nemesis.invariants import check_invariants, partly_checked
from scripts.nemesis.nemesis import FAULTS, ScheduledFault, schedule
from scripts.nemesis.report import Report
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scripts.nemesis.history import History
    from scripts.nemesis.targets import Fault, Targets

# The slowest recovery: missed heartbeats (33 s), then an event left by another worker (30 s), then a deadline.
QUIET_SECONDS = 240.0
DEADLINE_SECONDS = 45


@dataclass(frozen=True)
class Plan:
    minutes: float
    seed: int
    faults: Sequence[str]
    rate: float = 12.0


class Run:
    """One run over prepared targets. `tell` receives the progress, one line at a time."""

    def __init__(self, targets: Targets, plan: Plan, tell: Callable[[str], None]) -> None:
        self._targets = targets
        self._plan = plan
        self._tell = tell
        self._active: list[tuple[ScheduledFault, Fault]] = []
        self._fault_counts: Counter[str] = Counter()
        self._started_at = 0.0
        self._paused_seconds = 0.0
        self._failures: list[Violation] = []

    def run(self) -> Report:
        """Run to the end. A run that cannot continue is still checked; the failure is a violation of its own."""
        orders = 0
        with self._recording_failures("the workers and the monitor did not start"):
            self._targets.environment.start()
            self._targets.environment.observer.start()
        if not self._failures:
            orders = self._inject_faults()
        return self._check(orders)

    def _inject_faults(self) -> int:
        """Place orders and inject faults until the time is over. Returns the number of orders."""
        self._tell(f"orders and faults, for {self._plan.minutes:g} min of schedule")
        self._started_at = time.monotonic()
        customers = Customers(self._targets.environment.client, self._plan.rate, self._plan.seed)
        try:
            self._follow_schedule(customers)
        finally:
            customers.close()
            self._stop_faults(float("inf"))
        return customers.orders

    @contextlib.contextmanager
    def _recording_failures(self, what: str) -> Iterator[None]:
        """Turn any failure into a violation: without a verdict the evidence would be deleted."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the run must end with a verdict, whatever failed
            text = f"{what}: {type(error).__name__}: {error}"
            self._failures.append(Violation("run", text))
            self._tell(text)

    def _follow_schedule(self, customers: Customers) -> None:
        schedule_left = schedule(self._plan.minutes, self._plan.seed, self._plan.faults)
        while (now := self._now()) < self._plan.minutes * 60 and not self._failures:
            with self._clock_paused():
                self._stop_faults(now)
                while schedule_left and schedule_left[0].at <= now:
                    self._start_fault(schedule_left.pop(0), customers.orders)
            self._targets.environment.workers.restart_ended()
            time.sleep(0.1)

    def _now(self) -> float:
        """Seconds of the schedule. Paused while a fault begins or ends: a broker takes time to start."""
        return time.monotonic() - self._started_at - self._paused_seconds

    @contextlib.contextmanager
    def _clock_paused(self) -> Iterator[None]:
        started_at = time.monotonic()
        yield
        self._paused_seconds += time.monotonic() - started_at

    def _start_fault(self, scheduled: ScheduledFault, orders: int) -> None:
        duration = f" for {scheduled.seconds:.1f} s" if scheduled.seconds else ""
        backlog = self._targets.environment.client.backlog
        self._tell(f"{scheduled.at:6.1f} s  {scheduled.fault}{duration}  ({orders} orders, {backlog} waiting)")
        self._targets.rng = random.Random(scheduled.seed)
        fault = FAULTS[scheduled.fault].create()
        with self._recording_failures(f"{scheduled.fault} did not begin"):
            fault.start(self._targets)
        self._fault_counts[scheduled.fault] += 1
        self._active.append((scheduled, fault))

    def _stop_faults(self, now: float) -> None:
        ended = [pair for pair in self._active if pair[0].until <= now]
        self._active = [pair for pair in self._active if pair[0].until > now]
        for scheduled, fault in ended:
            with self._recording_failures(f"{scheduled.fault} did not end"):
                fault.stop(self._targets)

    def _check(self, orders: int) -> Report:
        self._tell("no more faults; waiting until every order has ended (calm)")
        started_at = time.monotonic()
        unfinished: list[Violation] = []
        if not self._failures:
            with self._recording_failures("dead queues were not restarted"):
                restart_dead_queues(self._targets)
            unfinished = self._wait_until_quiet()
        waited = time.monotonic() - started_at
        # Only now is every message handled for certain: a reused id is refused, and dead letters can be redriven.
        if not unfinished and not self._failures:
            with self._recording_failures("the dead letters were not redriven"):
                environment = self._targets.environment
                collide(environment.client, random.Random(self._plan.seed), environment.saga)
                unfinished = self._wait_until_quiet()
                self._targets.environment.redrive()
                unfinished = unfinished or self._wait_until_quiet()
        history, databases = self._record()
        return self._report(orders, history, databases, unfinished, waited)

    def _record(self) -> tuple[History, Databases]:
        """The complete history or, when it cannot be read, what the client and the databases hold."""
        self._tell("checking: databases, history and monitor are read and compared")
        with self._recording_failures("the history could not be read"):
            return self._targets.environment.record(leaving=True)
        databases = Databases()
        with self._recording_failures("the databases could not be read"):
            databases = self._targets.environment.read_databases()
        return self._targets.environment.history_without_broker(), databases

    def _wait_until_quiet(self) -> list[Violation]:
        self._targets.environment.client.drain(QUIET_SECONDS)
        return self._targets.environment.await_quiet(QUIET_SECONDS)

    def _report(
        self, orders: int, history: History, databases: Databases, unfinished: list[Violation], waited: float
    ) -> Report:
        workers = self._targets.environment.workers
        return Report(
            orders=orders,
            outcomes=dict(Counter(commande.etat for commande in databases.commandes.values())),
            kills=workers.kills,
            starts=workers.starts,
            exits={
                str(code): n
                for code, n in Counter(worker_exit.code for worker_exit in history.worker_exits).items()
            },
            resets=self._targets.proxy.resets,
            sessions=self._targets.environment.client.sessions,
            faults=dict(self._fault_counts),
            figures=figures(history, databases),
            letters=dict(
                Counter(
                    dead_letter.reason or f"broker: {dead_letter.broker}" for dead_letter in history.dead_letters
                )
            ),
            # First the failure of the run itself: it explains the others.
            violations=[*self._failures, *sorted({*check_invariants(history, databases), *unfinished})],
            partly=partly_checked(history, databases),
            quiet_seconds=waited,
            notes=self._targets.notes,
        )


def fault_descriptions() -> dict[str, str]:
    """Each fault with its description, for --help."""
    return {name: " ".join((spec.create().__doc__ or "").split()) for name, spec in FAULTS.items()}
