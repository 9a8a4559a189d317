"""A chaos run: orders all the while, faults by the schedule, then quiet, then judgement."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.nemesis.customers import Customers
from scripts.nemesis.databases import Books, read_books
from scripts.nemesis.faults_broker import restart_the_dead
from scripts.nemesis.faults_message import collide
from scripts.nemesis.figures import figures
from scripts.nemesis.invariants import judge, partly
from scripts.nemesis.nemesis import FAULTS, Turn, schedule
from scripts.nemesis.report import Report
from scripts.nemesis.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scripts.nemesis.history import History
    from scripts.nemesis.targets import Fault, Stage

# The slowest way to quiet: a session lost to silence (33 s), an event left by another worker (30 s), a deadline.
QUIET_SECONDS = 240.0
DEADLINE_SECONDS = 45


@dataclass(frozen=True)
class Plan:
    minutes: float
    seed: int
    faults: Sequence[str]
    rate: float = 12.0


class Run:
    """`tell` is told what happens, a line at a time."""

    def __init__(self, stage: Stage, plan: Plan, tell: Callable[[str], None]) -> None:
        self._stage = stage
        self._plan = plan
        self._tell = tell
        self._under_way: list[tuple[Turn, Fault]] = []
        self._counted: Counter[str] = Counter()
        self._begun = 0.0
        self._lost = 0.0
        self._broken: list[Violation] = []

    def go(self) -> Report:
        """A run that cannot go on is judged by what there is: whatever failed is a violation of its own."""
        orders = 0
        with self._told_of("the workers and the monitor did not start"):
            self._stage.arena.start()
            self._stage.arena.observer.start()
        if not self._broken:
            orders = self._trouble()
        return self._judge(orders)

    def _trouble(self) -> int:
        """Orders and faults, until the time is over; how many orders."""
        self._tell(f"orders and faults, for {self._plan.minutes:g} min of schedule")
        self._begun = time.monotonic()
        customers = Customers(self._stage.arena.client, self._plan.rate, self._plan.seed)
        try:
            self._play(customers)
        finally:
            customers.close()
            self._end_turns(float("inf"))
        return customers.orders

    @contextlib.contextmanager
    def _told_of(self, what: str) -> Iterator[None]:
        """Nothing that fails ends a run without a verdict: the evidence would be lost with it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a verdict is owed, whatever broke
            text = f"{what}: {type(error).__name__}: {error}"
            self._broken.append(Violation("run", text))
            self._tell(text)

    def _play(self, customers: Customers) -> None:
        turns = schedule(self._plan.minutes, self._plan.seed, self._plan.faults)
        while (now := self._now()) < self._plan.minutes * 60 and not self._broken:
            with self._untimed():
                self._end_turns(now)
                while turns and turns[0].at <= now:
                    self._begin(turns.pop(0), customers.orders)
            self._stage.arena.fleet.revive()
            time.sleep(0.1)

    def _now(self) -> float:
        """Seconds of the schedule: while a broker starts, it stands still."""
        return time.monotonic() - self._begun - self._lost

    @contextlib.contextmanager
    def _untimed(self) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._lost += time.monotonic() - begun

    def _begin(self, turn: Turn, orders: int) -> None:
        lasting = f" for {turn.seconds:.1f} s" if turn.seconds else ""
        waiting = self._stage.arena.client.backlog
        self._tell(f"{turn.at:6.1f} s  {turn.fault}{lasting}  ({orders} orders, {waiting} waiting)")
        self._stage.rng = random.Random(turn.seed)
        fault = FAULTS[turn.fault].make()
        with self._told_of(f"{turn.fault} did not begin"):
            fault.start(self._stage)
        self._counted[turn.fault] += 1
        self._under_way.append((turn, fault))

    def _end_turns(self, now: float) -> None:
        over = [pair for pair in self._under_way if pair[0].until <= now]
        self._under_way = [pair for pair in self._under_way if pair[0].until > now]
        for turn, fault in over:
            with self._told_of(f"{turn.fault} did not end"):
                fault.stop(self._stage)

    def _judge(self, orders: int) -> Report:
        self._tell("no more faults; waiting until everything is quiet (calm)")
        begun = time.monotonic()
        restless: list[Violation] = []
        if not self._broken:
            with self._told_of("the queues could not be looked at"):
                restart_the_dead(self._stage)
            restless = self._settle()
        waited = time.monotonic() - begun
        # Only now is it certain what has been dealt with: an id used again is refused, and letters can go round.
        if not restless and not self._broken:
            with self._told_of("the dead letters were not sent back"):
                collide(self._stage.arena.client, random.Random(self._plan.seed))
                restless = self._settle()
                self._stage.arena.redrive()
                restless = restless or self._settle()
        past, books = self._recorded()
        return self._report(orders, past, books, restless, waited)

    def _recorded(self) -> tuple[History, Books]:
        """The whole of it, or, when that cannot be had, what the client and the databases say."""
        self._tell("the verdict: databases, history and monitor are read and compared")
        with self._told_of("what happened could not be recorded"):
            return self._stage.arena.record(leaving=True)
        books = Books()
        with self._told_of("the databases could not be read"):
            books = read_books(self._stage.arena.database_url)
        return self._stage.arena.without_the_broker(), books

    def _settle(self) -> list[Violation]:
        self._stage.arena.client.drain(QUIET_SECONDS)
        return self._stage.arena.await_quiet(QUIET_SECONDS)

    def _report(
        self, orders: int, past: History, books: Books, restless: list[Violation], waited: float
    ) -> Report:
        fleet = self._stage.arena.fleet
        return Report(
            orders=orders,
            outcomes=dict(Counter(commande.etat for commande in books.commandes.values())),
            kills=fleet.kills,
            starts=fleet.starts,
            exits={str(code): n for code, n in Counter(gone.code for gone in past.departures).items()},
            resets=self._stage.proxy.resets,
            sessions=self._stage.arena.client.sessions,
            faults=dict(self._counted),
            figures=figures(past, books),
            letters=dict(Counter(letter.reason or f"broker: {letter.broker}" for letter in past.letters)),
            # What broke the run explains the rest.
            violations=[*self._broken, *sorted({*judge(past, books), *restless})],
            partly=partly(past, books),
            quiet_seconds=waited,
            notes=self._stage.notes,
        )


def kinds_of_faults() -> dict[str, str]:
    """Each fault and what it does, for the help."""
    return {name: " ".join((kind.make().__doc__ or "").split()) for name, kind in FAULTS.items()}
