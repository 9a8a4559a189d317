"""Several orchestrators on one database, each in a thread of its own, among services that answer in any order."""

from __future__ import annotations

import datetime as dt
import random
import threading
import uuid
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from choregraphie import Settings
from choregraphie.orchestration import Orchestration, Step, orchestrator
from choregraphie.pipeline.executor import execute
from choregraphie.saga.envelope import wrap
from choregraphie.saga.registry import open_envelope
from choregraphie.service.verdict import Verdict
from choregraphie.storage.database import open_database
from choregraphie.storage.invocation import Invocation
from choregraphie.storage.store import Store, StoreLimits
from choregraphie.testing import ServiceHarness

if TYPE_CHECKING:
    from choregraphie.saga.choreography import EventClass
    from choregraphie.saga.envelope import Envelope, Event
    from choregraphie.storage.invocation import Result

REASON = "complet"
MOST_AT_ONCE = 5


@dataclass
class Services:
    """What the services of `saga` do: each command has at most one answer, whatever order commands come in.

    late     the answers that are held back
    answers  the types of every answer, by key
    """

    saga: Orchestration
    rng: random.Random
    late: list[Event] = field(default_factory=list)
    answers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self._closed: set[tuple[str, str]] = set()
        self._step_of = {step.command: (step, True) for step in self.saga.all_steps}
        self._step_of |= {step.undoing: (step, False) for step in self.saga.all_steps if step.undoing}

    def hear(self, command: Event) -> Event | None:
        """The answer that comes at once, or None."""
        step, forward = self._step_of.get(type(command), (None, False))
        answer = self._answer(step, command.key, forward=forward) if step else None
        if answer is None:
            return None
        said = answer.model_validate({self.saga.starts.KEY: command.key, "raison": REASON})
        self.answers[command.key].add(answer.TYPE)
        if self.rng.random() < 0.15:
            self.late.append(said)
            return None
        return said

    def _answer(self, step: Step, key: str, *, forward: bool) -> EventClass | None:
        closed = (key, step.name) in self._closed
        if not forward:
            # Its refusal was the cancellation; any other undoing always answers.
            self._closed.add((key, step.name))
            return None if closed and step.pivot else step.undone
        if closed:
            return None  # undone before it was done
        if step.refusal and self.rng.random() < 0.1:
            self._closed |= {(key, step.name)} if step.pivot else set()
            return step.refusal
        return step.success


class Race:
    """`number` orchestrators of `saga`, and the events under way. Every event is delivered, some several times."""

    def __init__(self, saga: Orchestration, url: str, number: int, seed: int) -> None:
        self.saga = saga
        self.rng = random.Random(seed)
        self.services = Services(saga, self.rng)
        self.verdicts: Counter[Verdict] = Counter()
        self.said: Counter[tuple[str, str]] = Counter()
        self._settings = Settings(database_url=url)
        self._service = orchestrator(saga)
        self._databases = [open_database(self._service, self._settings) for _ in range(number)]
        self._now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self._waiting: list[Envelope[Any]] = []
        self._known: set[str] = set()
        self._busy = 0
        self._changed = threading.Condition()
        self._says = {cls.TYPE: cls for handler in self._service.reactions for cls in handler.says()}
        self._says |= {cls.TYPE: cls for schedule in self._service.timed for cls in schedule.says()}

    def publish(self, event: Event) -> None:
        """Deliver this event to some orchestrator, or several times to any of them."""
        source = "/clients/test" if event.SAID_BY == "client" else f"/services/{event.SAID_BY}"
        named = wrap(event, id=str(uuid.UUID(int=self.rng.getrandbits(128))), source=source, time=self._now)
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self._waiting.insert(self.rng.randint(0, len(self._waiting)), named)

    def run(self) -> None:
        """Let every orchestrator work at once until nothing is left to hear."""
        start = threading.Barrier(len(self._databases))
        with ThreadPoolExecutor(len(self._databases)) as threads:
            list(threads.map(lambda database: self._work(database, start), self._databases))

    def pass_time(self, seconds: float) -> None:
        self._now += dt.timedelta(seconds=seconds)

    def publish_late(self) -> None:
        """The answers that were held back come now."""
        late, self.services.late = self.services.late, []
        for event in late:
            self.publish(event)

    def close(self) -> None:
        for database in self._databases:
            database.close()

    def _work(self, database: Any, start: threading.Barrier) -> None:
        store = Store(self._service, database, StoreLimits.of(self._settings), lambda: self._now)
        harness = ServiceHarness(self._service, self._settings, database)
        (clock,) = self._service.timed
        start.wait(30)
        self._keep(store.tick(clock))
        while (batch := self._take()) is not None:
            try:
                invocations = [harness.decoder.decode(harness.delivery(heard)) for heard in batch]
                assert all(isinstance(one, Invocation) for one in invocations)
                self._keep(execute(store, [one for one in invocations if isinstance(one, Invocation)], (1,), []))
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _take(self) -> list[Envelope[Any]] | None:
        """A random number of what waits; None once nothing waits and nobody works."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._busy)
            if not self._waiting:
                return None
            number = self.rng.randint(1, MOST_AT_ONCE)
            taken, self._waiting = self._waiting[:number], self._waiting[number:]
            self._busy += 1
            return taken

    def _keep(self, results: list[Result]) -> None:
        """Count the verdicts, and let the services hear the commands: each once, by its id."""
        with self._changed:
            for result in results:
                self.verdicts[result.verdict] += 1
                for decided in result.outbox_events:
                    self.said[decided.key, decided.type] += 1
                    command = open_envelope(decided.body, self._says)
                    if command.id not in self._known and (answer := self.services.hear(command.data)):
                        self.publish(answer)
                    self._known.add(command.id)
