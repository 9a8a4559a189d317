"""One run from beginning to end: workers, clients, faults, peace, the operator, quiet, and then the invariants."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from choregraphie import Settings
from choregraphie.failpoints import watched
from choregraphie.saga.topology import HISTORY, dlq, topology
from choregraphie.simulator.broker_model import Broker
from choregraphie.simulator.clients import Clients, Operator
from choregraphie.simulator.clock import VirtualLoop
from choregraphie.simulator.databases import Books
from choregraphie.simulator.final_state import FinalState
from choregraphie.simulator.isolation import left_until_the_end, silence
from choregraphie.simulator.network import AWAY_SECONDS, GRID_SECONDS, Network
from choregraphie.simulator.randomness import Chance, Fault
from choregraphie.simulator.trace import Diary
from choregraphie.simulator.workers import LEAVE_SECONDS, Worker, employ, pass_by
from choregraphie.simulator.workload import Plan, circumstances

PEACE_SECONDS = 2.5
_NEMESIS_HOPS = 4
_LOOK_HOPS = 5
# Long after every delay of a run's settings: whoever is not done by then never will be.
PATIENCE_SECONDS = 300.0

Judge = Callable[[Any], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """What became of a run. `found`: the violations; `virtual_seconds`: how long it lasted for those in it."""

    plan: Plan
    found: tuple[str, ...]
    facts: Any
    diary: Diary
    struck: tuple[str, ...]
    faults: Counter[Fault]
    virtual_seconds: float
    sagas: int


@dataclass
class _World:
    plan: Plan
    books: Books
    loop: VirtualLoop = field(default_factory=VirtualLoop)

    def __post_init__(self) -> None:
        self.scenario = self.books.scenario
        self.chance = Chance(self.plan.seed, self.plan.faults)
        self.diary = Diary(self.loop.time)
        self.given = circumstances(self.plan.seed, list(self.books.services))
        self.settings = Settings(
            database_url="sqlite://",
            catalogue=self.scenario.seed,
            retry_delays=self.given.retry_delays,
            deadline=self.given.deadline,
            prefetch=self.given.prefetch,
            call_timeout=0.3,
        )
        model = Broker(
            topology(self.scenario.choreography, self.given.retry_delays),
            self.given.version,
            self.given.delivery_limit,
        )
        self.network = Network(self.loop, model, self.chance, self.diary)
        self.externals = self.scenario.externals(self.chance, self.diary)
        self.clients = Clients(self.network, self.scenario.message_of)
        self.operator = Operator(self.network)
        self.crew = [
            employ(
                f"{name}-{number + 1}", service, self.books, self.settings, self.network, self.externals.get(name)
            )
            for name, service in self.books.services.items()
            for number in range(self.given.workers[name])
        ]

    async def run(self) -> list[str]:
        """What should not be there when all is over."""
        lives = [asyncio.create_task(worker.live()) for worker in self.crew]
        outbox_event = [asyncio.create_task(self.clients.carry_out(act)) for act in self.plan.acts]
        await self._nemesis()
        self.chance.make_peace()
        for act in outbox_event:
            await act
        quiet = await self._until_quiet()
        if self.given.redrives and await self.operator.redrive(list(self.books.services), self.given.redrives):
            quiet = await self._until_quiet() and quiet
        self.diary.closed = True  # the rest is the same in every run
        for worker in self.crew:
            worker.end()
        _, late = await asyncio.wait(lives, timeout=LEAVE_SECONDS)
        return [*self._remains(quiet), *(f"a worker is not out after {LEAVE_SECONDS} s" for _ in late)]

    async def _nemesis(self) -> None:
        """Strike at whole programs, now and then, until peace."""
        for turn in range(int(PEACE_SECONDS / GRID_SECONDS / _NEMESIS_HOPS)):
            await self.network.pause(_NEMESIS_HOPS)
            for worker in self.crew:
                self._strike(worker, turn)
            if turn in self.given.early_redrives:
                await self.operator.redrive(list(self.books.services), 1)
            if self.chance.strikes(Fault.RESTART, turn):
                self.network.leave("the broker")
                await self.network.pause(self.chance.choice(AWAY_SECONDS, "away", turn) / GRID_SECONDS)
                self.network.come_back("the broker")

    def _strike(self, worker: Worker, turn: int) -> None:
        if self.chance.strikes(Fault.KILL, worker.name, turn):
            worker.die("is killed")
        elif self.chance.strikes(Fault.CUT, worker.name, turn):
            worker.cut("the network broke it")
        elif self.chance.strikes(Fault.STOP, worker.name, turn):
            worker.stop()

    async def _until_quiet(self) -> bool:
        """Wait until nobody has anything left to do; whether that came."""
        end = self.loop.now + PATIENCE_SECONDS
        while self.loop.now < end:
            await self.network.pause(_LOOK_HOPS)
            alive = all(worker.is_alive for worker in self.crew)
            if alive and self.network.is_idle() and not self.books.unsaid() and not self.books.undecided():
                return True
        return False

    def _remains(self, quiet: bool) -> Iterator[str]:
        if not quiet:
            yield f"not quiet after {PATIENCE_SECONDS} s"
        for queue in self.network.broker.queues.values():
            if queue.hidden or queue.unacked:
                yield f"{queue.name}: {len(queue.hidden)} hidden, {queue.unacked} unacknowledged"
            if self.network.sessions[queue.name]:
                yield f"{queue.name} still has a consumer"
        for worker in self.crew:
            yield from worker.fallen
        yield from self.loop.troubles

    def facts(self, remains: Sequence[str]) -> FinalState:
        model = self.network.broker
        return self.scenario.final_state(
            tables={name: self.books.tables(name) for name in self.books.services},
            dead={name: list(model.queues[dlq(name)]) for name in self.books.services},
            history=[entry.message for entry in model.streams[HISTORY].entries],
            acts=self.clients.confirmed,
            externals=self.scenario.outside_of(self.externals),
            # Only a service that asks the outside world can fail: the databases of a simulation never do.
            may_fail=[
                name for name, s in self.books.services.items() if any(handler.call for handler in s.reactions)
            ],
            remains=remains,
        )


def walk(plan: Plan, books: Books, judge: Judge | None = None) -> Outcome:
    """Carry `plan` out. `judge` may find more than the scenario, in the same facts."""
    with left_until_the_end(), silence(), watched(pass_by):
        return _walk(plan, books, judge)


def _walk(plan: Plan, books: Books, judge: Judge | None) -> Outcome:
    books.reset()
    world = _World(plan, books)
    try:
        remains = world.loop.run_until_complete(world.run())
    finally:
        world.loop.close()
    facts = world.facts(remains)
    found = [*world.scenario.violations(facts), *(judge(facts) if judge else ())]
    return Outcome(
        plan,
        tuple(found),
        facts,
        world.diary,
        tuple(world.chance.struck),
        world.chance.counts,
        world.loop.now,
        world.scenario.instances(facts),
    )
